"""What this machine computes with, in words: read without importing torch, which takes seconds."""

import csv
import importlib.util
import io
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import joblib

from diffaug.runtime import cores

_ASKED_SECONDS = 20  # nvidia-smi answers in less than one
_INSTALL = "docs/install.md says how to install the build for it"


@dataclass(frozen=True)
class TorchBuild:
    """The installed torch: its version, and the CUDA version that it is built for; None: built for the CPU."""

    version: str
    cuda: str | None
    rocm: str | None


@dataclass(frozen=True)
class Card:
    """A card that nvidia-smi finds; memory in MiB, None where it is not told."""

    name: str
    memory: int | None
    driver: str

    def __str__(self) -> str:
        size = "" if self.memory is None else f", {self.memory / 1024:.1f} GiB"
        return f"{self.name}{size}"


def device_lines() -> list[str]:
    """The device with memory and versions, and a note if a card lies idle, or its driver is too old for torch."""
    build, cards, highest = torch_build(), nvidia_cards(), nvidia_cuda()
    cpu = f"CPU, {joblib.cpu_count()} cores, {cores.memory() / 2**30:.1f} GiB"
    if build is None:
        return [f"device: {cpu}; torch is not installed: python3 run.py setup installs it"]
    torch = f"torch {build.version}"
    if cards and build.cuda is None:
        return [
            f"device: {cpu}, {torch}",
            f"note: nvidia-smi finds {cards[0]}, but this torch is built "
            f"{'for AMD cards' if build.rocm else 'for the CPU'}, so the card lies idle; {_INSTALL}",
        ]
    if cards and build.cuda and highest and _number(highest) < (_number(build.cuda)[0], 0):
        return [
            f"device: {cpu}, {torch}",
            f"note: the driver {cards[0].driver} of {cards[0]} knows CUDA up to {highest}, but this torch is built for "
            f"CUDA {build.cuda}, so the card lies idle; update the driver, or install a build for CUDA {highest} "
            "(docs/install.md)",
        ]
    if cards:
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
        only = "" if chosen is None else f", of which CUDA_VISIBLE_DEVICES allows {chosen or 'none'}"
        return [f"device: {', '.join(map(str, cards))}{only}; driver {cards[0].driver}, {torch} for CUDA {build.cuda}"]
    if build.rocm and shutil.which("rocm-smi"):
        return [f"device: a card of AMD, {torch} for ROCm {build.rocm}"]
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return [f"device: Apple's GPU, which shares {cores.memory() / 2**30:.1f} GiB with the CPU, {torch}"]
    return [f"device: {cpu}, {torch}"]


def smallest_card() -> int | None:
    """Bytes of memory of the smallest card that the installed torch is built for; None if there is none."""
    build = torch_build()
    sizes = [card.memory for card in nvidia_cards() if card.memory is not None]
    return min(sizes) * 2**20 if build is not None and build.cuda is not None and sizes else None


def torch_build() -> TorchBuild | None:
    """What torch/version.py says; None if torch is not installed."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    found = dict(re.findall(r"^(__version__|cuda|hip)\b[^=\n]*= '([^'\n]+)'", text, re.MULTILINE))
    return TorchBuild(found.get("__version__", "?"), found.get("cuda"), found.get("hip"))


def nvidia_cards() -> list[Card]:
    """The cards that nvidia-smi finds; none where it is absent or fails."""
    said = _ask("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(said))]
    return [Card(row[0], int(row[1]) if row[1].isdigit() else None, row[2]) for row in rows if len(row) == 3]


def nvidia_cuda() -> str | None:
    """The highest CUDA version that the driver knows, as nvidia-smi's heading names it."""
    found = re.search(r"CUDA(?: UMD)? Version:\s*(\d+\.\d+)", _ask())
    return found[1] if found else None


def _ask(*arguments: str) -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    try:
        done = subprocess.run(
            [tool, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_ASKED_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
