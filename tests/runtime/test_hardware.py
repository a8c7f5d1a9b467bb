"""What `check` says about the device, with a stand-in for nvidia-smi: no card is needed."""

import sys
from pathlib import Path

import pytest
from systems import posix

from diffaug.runtime import hardware
from diffaug.runtime.hardware import TorchBuild, device_lines, nvidia_cards, torch_build

pytestmark = posix  # the stand-in is a script with #!
CPU, CUDA = TorchBuild("2.15.0+cpu", None, None), TorchBuild("2.15.0+cu132", "13.2", None)


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An nvidia-smi that finds a card of 12 GB, and whose driver knows CUDA up to 13.2."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "print('NVIDIA GeForce RTX 3060, 12288, 590.44' if len(sys.argv) > 1 else "
        "'| NVIDIA-SMI 590.44  Driver Version: 590.44  CUDA Version: 13.2 |')\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tool


def built(monkeypatch: pytest.MonkeyPatch, build: TorchBuild | None) -> None:
    monkeypatch.setattr(hardware, "torch_build", lambda: build)


def test_a_card_is_named_with_memory_driver_and_versions(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(monkeypatch, CUDA)
    assert device_lines() == [
        "device: NVIDIA GeForce RTX 3060, 12.0 GiB; driver 590.44, torch 2.15.0+cu132 for CUDA 13.2"
    ]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "of which CUDA_VISIBLE_DEVICES allows none" in device_lines()[0]


def test_a_card_that_a_torch_for_the_cpu_leaves_idle_is_said(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(monkeypatch, CPU)
    device, note = device_lines()
    assert device.startswith("device: CPU, ") and device.endswith("torch 2.15.0+cpu")
    assert note.startswith("note: nvidia-smi finds NVIDIA GeForce RTX 3060, 12.0 GiB, but this torch is built for the ")
    assert "docs/install.md" in note


def test_a_driver_that_is_too_old_is_said(card: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(monkeypatch, CUDA)
    card.write_text(card.read_text().replace("CUDA Version: 13.2", "CUDA Version: 12.4"))
    assert "knows CUDA up to 12.4, but this torch is built for CUDA 13.2" in device_lines()[1]
    # Minor versions work together.
    card.write_text(card.read_text().replace("CUDA Version: 12.4", "CUDA Version: 13.0"))
    assert len(device_lines()) == 1


@pytest.mark.parametrize("script", ["exit 9", "echo 'NVIDIA-SMI has failed'", "echo A card, [N/A]"])
def test_a_tool_that_fails_or_says_something_else_is_no_card(card: Path, script: str) -> None:
    card.write_text(f"#!/bin/sh\n{script}\n")
    assert nvidia_cards() == []


def test_without_a_card_it_is_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    built(monkeypatch, None)
    assert device_lines()[0].endswith("torch is not installed: python3 run.py setup installs it")


def test_the_installed_torch_is_read_without_importing_it() -> None:
    import torch

    build = torch_build()
    assert build and (build.version, build.cuda) == (torch.__version__, torch.version.cuda)
