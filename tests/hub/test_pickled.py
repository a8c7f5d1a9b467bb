"""Pickled checkpoints: their tensors are read, and nothing else that they name is run."""

import builtins
import collections
import os
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import damaged, refused

from diffaug.hub.pickled import read_pickled
from diffaug.runtime.errors import UserError

WEIGHTS = {"model.diffusion_model.a": torch.arange(6.0).reshape(2, 3), "first_stage_model.b": torch.ones(2).half()}


@pytest.fixture(params=["zip", "legacy"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], Path]:
    """Saves as torch does today, or as before version 1.6."""

    def write(content: Any) -> Path:
        file = tmp_path / "model.ckpt"
        torch.save(content, file, _use_new_zipfile_serialization=request.param == "zip")
        return file

    return write


@pytest.fixture
def trainer() -> Iterator[types.ModuleType]:
    """A trainer's package, of which only the names are in the file when it is read."""
    module = types.ModuleType("pytorch_lightning")

    class ModelCheckpoint:
        def __init__(self) -> None:
            self.best = 0.5

    class AttributeDict(dict):
        pass

    class Scheduler:
        def __init__(self, steps: int) -> None:
            self.steps = steps

        def __reduce__(self) -> Any:
            return Scheduler, (self.steps,), {"steps": self.steps}

    for kind in (ModelCheckpoint, AttributeDict, Scheduler):
        kind.__module__, kind.__qualname__ = "pytorch_lightning", kind.__name__
        setattr(module, kind.__name__, kind)
    sys.modules["pytorch_lightning"] = module
    yield module
    sys.modules.pop("pytorch_lightning", None)


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[key], value) for key, value in WEIGHTS.items())


def test_plain_weights(save: Callable[[Any], Path]) -> None:
    assert same(read_pickled(save(WEIGHTS))[0])
    assert read_pickled(save(WEIGHTS))[1] == []
    parameters = collections.OrderedDict((key, torch.nn.Parameter(value)) for key, value in WEIGHTS.items())
    found = read_pickled(save({"state_dict": {"state_dict": parameters}}))[0]
    assert same(found) and not any(value.requires_grad for value in found.values())


def test_what_trainers_store_beside_the_weights_is_left_out(save: Callable[[Any], Path], trainer: Any) -> None:
    content = {
        "state_dict": WEIGHTS | {"betas": np.linspace(0, 1, 3), "steps": 3},
        "epoch": 4,
        "callbacks": {trainer.ModelCheckpoint: {"best": np.float64(0.5)}, "other": trainer.ModelCheckpoint()},
        "hyper_parameters": trainer.AttributeDict(a=trainer.Scheduler(3), b=[Path("x"), {1, 2}], c=torch.float16),
        "lr_schedulers": [collections.defaultdict(list, {"x": [1]}), trainer.Scheduler(5)],
    }
    file = save(content)
    sys.modules.pop("pytorch_lightning")
    tensors, left_out = read_pickled(file)
    assert same(tensors)
    assert left_out == ["what is no tensor: betas, callbacks, epoch, hyper_parameters, lr_schedulers, steps"]


def test_the_moving_average_is_left_out_as_in_webui(save: Callable[[Any], Path]) -> None:
    averaged = {"model_ema.decay": torch.ones(()), "model_ema.diffusion_modela": torch.zeros(2, 3)}
    tensors, left_out = read_pickled(save({"state_dict": WEIGHTS | averaged}))
    assert same(tensors) and left_out == ["2 tensors of the moving average model_ema.*, as in WebUI"]


def test_weights_of_super_resolution_are_those_of_the_moving_average(save: Callable[[Any], Path]) -> None:
    plain = {key: value + 1 for key, value in WEIGHTS.items()}
    tensors, left_out = read_pickled(save({"params": plain, "params_ema": WEIGHTS, "iter": 3}))
    assert same(tensors) and left_out == ["the weights params, beside params_ema", "what is no tensor: iter"]
    tensors, left_out = read_pickled(save({"params": WEIGHTS}))
    assert same(tensors) and left_out == []


def test_a_learned_word_of_webui(save: Callable[[Any], Path]) -> None:
    rows = torch.randn(2, 768)
    word = {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.nn.Parameter(rows)}, "name": "cat", "step": 9}
    tensors, _ = read_pickled(save(word))
    assert list(tensors) == ["emb_params"] and torch.equal(tensors["emb_params"], rows)


class _Calls:
    """Pickled as a call of `function`: whoever unpickles it calls that."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self, *_: Any) -> None:
        """Only so that it can stand for a function."""


def hostile(canary: Path) -> dict[str, Any]:
    """Objects that write the canary when they are unpickled."""
    python = f"open({str(canary)!r}, 'w').close()"
    shell = f"touch {canary}"
    return {
        "system": _Calls(os.system, shell),
        "eval": _Calls(builtins.eval, python),
        "exec": _Calls(builtins.exec, python),
        "subprocess": _Calls(subprocess.Popen, ["touch", str(canary)]),
        "nested": {"a": [(_Calls(builtins.eval, python),)]},
        "in the arguments": _Calls(collections.OrderedDict, [("a", _Calls(builtins.eval, python))]),
        "in the state": _Calls(collections.Counter, state={"a": _Calls(builtins.exec, python)}),
        "of getattr": _Calls(_Calls(builtins.getattr, _Calls(builtins.__import__, "os"), "system"), shell),
        "of a reader": _Calls(pickle.loads, pickle.dumps(_Calls(builtins.eval, python))),
    }


@pytest.mark.parametrize("name", list(hostile(Path("x"))))
def test_nothing_is_run(save: Callable[[Any], Path], tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary"
    evil = hostile(canary)[name]
    file = save({"state_dict": WEIGHTS, "callbacks": evil})
    try:
        assert same(read_pickled(file)[0])
    except UserError as error:
        assert name in ("system", "of getattr") and "\n" not in str(error)
    assert not canary.exists()
    torch.load(file, weights_only=False)  # it would have been written
    for _ in range(50):
        if canary.exists():
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert canary.exists()


def test_the_module_of_the_system_is_named(tmp_path: Path) -> None:
    file = tmp_path / "model.ckpt"
    torch.save(hostile(tmp_path / "canary")["system"], file)
    module = os.system.__module__
    assert refused(lambda: read_pickled(file)) == (
        f"{file}: is damaged, no checkpoint, or holds what cannot be left out (it calls {module}.system, which no "
        "checkpoint needs, and which can do "
        "harm); fetch it again, or take another"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged, no checkpoint"),
        (b"PK\x03\x04 and no more", "is damaged, no checkpoint"),
        (pickle.dumps({"a": 1}), "is damaged, no checkpoint"),
        (b"\x80\x02}q\x00.", "is damaged, no checkpoint"),
        (b"<html>404</html>", "is damaged, no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "model.ckpt"
    file.write_bytes(content)
    message = refused(lambda: read_pickled(file))
    assert message.startswith(f"{file}: {words}") and "\n" not in message and len(message) < 500
    assert refused(lambda: read_pickled(tmp_path / "none.ckpt")).endswith(
        "does not exist; give the path of a checkpoint"
    )


def test_a_program_of_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "model.pt")
    assert "(it is a TorchScript program); fetch" in refused(lambda: read_pickled(tmp_path / "model.pt"))


@pytest.mark.parametrize("content", [[torch.ones(1)], {"a": 1}, {1: torch.ones(1)}, torch.ones(2), {"state_dict": {}}])
def test_a_file_without_named_tensors_is_refused(save: Callable[[Any], Path], content: Any) -> None:
    message = refused(lambda: read_pickled(save(content)))
    assert message.endswith(
        "holds no tensors by name; if it is a whole model of another program, save its state_dict()"
    )


def test_a_damaged_file_is_refused_or_read(save: Callable[[Any], Path], tmp_path: Path) -> None:
    whole = save({"state_dict": WEIGHTS, "epoch": 1}).read_bytes()
    file = tmp_path / "model.ckpt"
    for seed in range(100):
        file.write_bytes(damaged(whole, seed))
        try:
            read_pickled(file)
        except UserError as error:
            assert "\n" not in str(error)
