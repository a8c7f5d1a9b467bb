from pathlib import Path

import pytest
from torch import nn

from diffaug.hub import opening as module
from diffaug.hub.opening import opening
from diffaug.runtime.errors import UserError


def test_a_network_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MAX_MODULES", 30)
    built = 0
    stopped = pytest.raises(UserError, match=r"^it fails \(its configuration states more than 30 layers\)$")
    with stopped, opening("it fails", tmp_path):
        while True:
            nn.Sequential(nn.Linear(1, 1))
            built += 1
    assert built == 10  # a linear layer has two tensors, and joins a sequence
    for _ in range(20):
        nn.Sequential(nn.Linear(1, 1))


def test_every_error_of_a_library_is_one_line(tmp_path: Path) -> None:
    for error in (RuntimeError("two\nlines"), KeyError("x"), RecursionError("deep")):
        with pytest.raises(UserError, match=r"^it fails \([^\n]*\)$"), opening("it fails", tmp_path):
            raise error
    for full in (MemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):
        words = r"^it fails, or it needs more memory than this machine has \([^\n]*\)$"
        with pytest.raises(UserError, match=words), opening("it fails", tmp_path):
            raise full
    with pytest.raises(UserError, match=r"^my own$"), opening("it fails", tmp_path):
        raise UserError("my own")
    with pytest.raises(KeyboardInterrupt), opening("it fails", tmp_path):
        raise KeyboardInterrupt


def test_a_library_that_asks_to_trust_code_is_refused_in_own_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "mine.Net"}}')
    with pytest.raises(UserError) as caught, opening("it fails", tmp_path):
        raise ValueError("Please pass the argument `trust_remote_code=True` to allow custom code to be run.")
    never = (
        "names custom code, which never runs here; take a model whose parts are classes of diffusers or transformers"
    )
    assert str(caught.value) == f"{tmp_path / 'config.json'}: {never}"
