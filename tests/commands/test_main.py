import re
import shutil
import sys
from pathlib import Path

import pytest
from paths import ROOT

from diffaug.commands.main import main


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["diffaug", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(monkeypatch, capsys, "--version").startswith("diffaug 0.")


def test_the_help_has_every_command_and_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(monkeypatch, capsys, "--help")
    examples = text.partition("examples:")[2]
    names = ("check", "fetch", "use", "sheet", "regenerate", "export", "verdict", "compare", "study", "tune", "doctor")
    for command in names:
        assert f"  diffaug {command}" in examples
        assert said(monkeypatch, capsys, command, "--help").startswith(f"usage: diffaug {command}")


def test_check_takes_a_preset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that was just written by `start`, say."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "pretrained", tmp_path / "pretrained")
    (tmp_path / "mine.yaml").write_text("train_det: {model: nowhere.yaml}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["diffaug", "check", "mine.yaml"])
    with pytest.raises(
        SystemExit, match=r"^diffaug: params\.yaml with mine\.yaml: train_det\.model: found 'nowhere\.yaml'"
    ):
        main()
    assert not list(tmp_path.glob(".params*"))


def test_the_examples_name_images_of_a_draw(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`draws: own` is the default, and an image's id begins with its seed."""
    for arguments in (("--help",), ("regenerate", "--help")):
        assert set(re.findall(r"\S*img2img-\d{6}", said(monkeypatch, capsys, *arguments))) == {"s0-img2img-000012"}
