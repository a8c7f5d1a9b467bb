"""How long each stage took. Not on the page, whose bytes are the same for the same results: times never are."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from diffaug.hub.configs import read_facts
from diffaug.runtime.errors import UserError

SPEED = Path("metrics/speed")


class _Speed(BaseModel):
    seconds: Annotated[float, Field(ge=0)]
    peak_memory_mib: Annotated[float, Field(ge=0)]


def times_table(folder: Path = SPEED) -> str:
    """A line per stage: its name, its seconds and its memory, the longest first, and the sum. Raises UserError."""
    speeds = {path.stem: read_facts(path, _Speed, "run `dvc repro`") for path in sorted(folder.glob("*.json"))}
    if not speeds:
        raise UserError(f"{folder}: has no times; run `dvc repro` first")
    width = max(map(len, speeds))
    ordered = sorted(speeds.items(), key=lambda one: -one[1].seconds)
    rows = [f"{name:{width}}  {one.seconds:>9.1f}  {one.peak_memory_mib:>8.0f}" for name, one in ordered]
    total = sum(one.seconds for one in speeds.values())
    head = f"{'stage':{width}}  {'seconds':>9}  {'peak MiB':>8}"
    end = f"{'all':{width}}  {total:>9.1f}; models that were trained side by side count one after the other"
    return "\n".join([head, *rows, end])
