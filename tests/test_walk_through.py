"""docs/walk-through.md: its commands exist, make what it shows, and run."""

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from PIL import Image

from diffaug.commands.main import _parser

TEXT = (ROOT / "docs/walk-through.md").read_text(encoding="utf-8")


def script() -> Any:
    """docs/walk_through.py as a module."""
    spec = importlib.util.spec_from_file_location("walk_through", ROOT / "docs/walk_through.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_of_the_page_is_one() -> None:
    commands = [command[3:] for command in script().commands(TEXT) if "diffaug.commands.main" in command]
    assert {command[0] for command in commands} >= {
        *("draw", "sheet", "noise", "denoise", "story", "score", "info", "merge-models", "upscale", "export", "preset")
    }
    for command in commands:
        _parser().parse_args(command)


@pytest.mark.parametrize(
    "name", ["draw", "sheet", "story", "score", "upscale", "info", "noise", "denoise", "merge-models"]
)
def test_the_examples_of_what_is_done_by_hand_are_commands(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args([name, "--help"])
    shown = capsys.readouterr().out.partition("examples:")[2]
    examples = [shlex.split(line)[1:] for line in shown.splitlines() if line.startswith("  diffaug ")]
    assert len(examples) >= 2
    for example in examples:
        assert example[0] == name
        _parser().parse_args(example)


def test_what_the_page_shows_is_made_by_a_command_before_it() -> None:
    module = script()
    for name in module.pictures(TEXT):
        assert (ROOT / "docs" / module.SHOWN / name).is_file(), name
        if name in module.PLACES:
            assert "diffaug preset clothes_lora" in TEXT and "/clothes_lora/" in module.PLACES[name]
        elif name not in module.GIVEN:
            before = TEXT[: TEXT.index(f"]({module.SHOWN}/{name})")]
            made_by = name.split("/", 1)[0].removesuffix(".gif").removesuffix(".png")
            assert f"--out {made_by}" in before or f" {name} " in before, name
    assert Image.open(ROOT / "docs" / module.SHOWN / "denoise.gif").n_frames == 15


@pytest.mark.long
def test_the_page_runs_and_makes_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a clone, as a user would. On another machine pixels may be rounded otherwise; sheets have seconds on them."""
    module = script()
    shown = tmp_path / "docs"
    monkeypatch.setattr(module, "PAGE", shown / "walk-through.md")
    shown.mkdir()
    (shown / "walk-through.md").write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["walk_through.py"])
    module.run(tmp_path / "work")
    for name in module.pictures(TEXT):
        if name in module.GIVEN:
            continue
        made, published = (Image.open(folder / module.SHOWN / name) for folder in (shown, ROOT / "docs"))
        assert made.size == published.size, name
        if name not in ("samplers.png", "eta.png", "lora.png", "denoise.gif"):
            first, second = (np.asarray(image.convert("RGB")).astype(int) for image in (made, published))
            assert np.abs(first - second).mean() < 3, name
