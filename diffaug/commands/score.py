"""`diffaug score`: what filter's scores say about the pictures of a folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffaug.commands.info import read_info
from diffaug.commands.pictures import read_pictures
from diffaug.dataset.records import SPLITS, ImageSet, Record
from diffaug.params.base import ModelName
from diffaug.params.filter import Aesthetic
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import write_table
from diffaug.scoring import aesthetic, degenerate
from diffaug.scoring.clip import open_clip
from diffaug.scoring.hash import between
from diffaug.scoring.material import Material

LEAST = 6.0  # the aesthetic score from which LAION takes a picture into its aesthetic subset
_DECIMALS = {"entropy": 2, "aesthetic": 2, "text": 1, "std": 1, "sharpness": 1, "nearest_bits": 0}
_LONGEST = 40  # characters of a cell


@dataclass(frozen=True)
class Networks:
    """The networks of scores; None: without this score. prompt: for all pictures; without it, each picture's own, which
    a PNG of diffaug, WebUI and others carries."""

    aesthetic: Aesthetic | None = None
    text: ModelName | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Scores:
    """A row for each picture, by column; least: the mean aesthetic score that is wished.

    Columns: file, width, height; std, entropy and sharpness of the grey levels; how many of the 64 bits of its
    perceptual hash differ from those of the nearest other picture, and which this is; aesthetic; text: the cosine x 100
    with its prompt. A single picture has no nearest one.
    """

    rows: tuple[Mapping[str, Any], ...]
    least: float = LEAST

    @property
    def means(self) -> dict[str, float]:
        """Of the columns with measured numbers."""
        return {
            name: math.fsum(row[name] for row in self.rows) / len(self.rows)
            for name in _DECIMALS
            if name in self.rows[0]
        }

    @property
    def verdict(self) -> str | None:
        """Whether the mean aesthetic score reaches what is wished; None without this score."""
        mean = self.means.get("aesthetic")
        if mean is None:
            return None
        return f"aesthetic: the mean {mean:.2f} {'reaches' if mean >= self.least else 'is below'} {self.least:g}"

    def lines(self) -> list[str]:
        """The table as text; its last row has the means."""
        head = list(self.rows[0])
        rows = [head, *([_shown(name, row.get(name, "")) for name in head] for row in (*self.rows, self._last))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        text = ["  ".join(map(_aligned, row, widths, head)).rstrip() for row in rows]
        return text + ([self.verdict] if self.verdict else [])

    def write(self, path: Path) -> None:
        """As CSV, without the means."""
        write_table(path, list(self.rows[0]), [list(row.values()) for row in self.rows])

    @property
    def _last(self) -> dict[str, Any]:
        return {"file": "mean", **self.means}


def score(folder: Path, networks: Networks) -> Scores:
    """The scores of all pictures below the folder. Raises UserError."""
    records = read_pictures(folder)
    prompts = _prompts(folder, records, networks) if networks.text is not None else []
    return Scores(tuple(score_records(records, networks, prompts)), least_of(networks))


def check_networks(networks: Networks) -> None:
    """Raises UserError if one cannot be opened. Nothing stays in memory."""
    device = choose_device()
    if networks.aesthetic is not None:
        aesthetic.open_predictor(networks.aesthetic, device, "filter.cls.aesthetic")
    if networks.text is not None:
        open_clip(networks.text, device, "filter.cls.text.model")


def score_records(records: Sequence[Record], networks: Networks, prompts: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these pictures; prompts: of each, for the score of the text. Raises UserError."""
    empty = {split: ImageSet((), ()) for split in SPLITS}
    material = Material("cls", 0, "val_and_test", empty, ImageSet(("",), tuple(records)), title="score")
    columns: dict[str, Sequence[Any]] = {"file": [record.id for record in records]}
    columns |= dict(zip(("width", "height"), zip(*(record.size for record in records))))
    columns |= degenerate.contents(material.progress("content"))
    columns |= _nearest(records) if len(records) > 1 else {}
    if networks.aesthetic is not None:
        columns |= aesthetic.measure(material, networks.aesthetic)
    if networks.text is not None:
        columns["text"] = _agreement(material, networks.text, prompts)
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _nearest(records: Sequence[Record]) -> dict[str, list[Any]]:
    """The nearest other picture, mirrored ones too, by the hash of the score `hash`."""
    measure = between()
    known = measure.signatures(records)
    columns: dict[str, list[Any]] = {"nearest_bits": [], "nearest": []}
    for index, views in enumerate(measure.views(records)):
        bits = measure.distances(views, known)
        nearest = int(np.where(np.arange(len(bits)) == index, np.inf, bits).argmin())
        columns["nearest_bits"].append(int(bits[nearest]))
        columns["nearest"].append(records[nearest].id)
    return columns


def _agreement(material: Material, model: ModelName, prompts: Sequence[str]) -> list[float]:
    clip = open_clip(model, material.device, "filter.cls.text.model")
    images = clip.records(material.generated.records, material, "text")
    texts = list(dict.fromkeys(prompts))
    vectors = clip.texts(texts).cpu()
    return [100 * float(torch.dot(image, vectors[texts.index(one)])) for image, one in zip(images, prompts)]


def _prompts(folder: Path, records: Sequence[Record], networks: Networks) -> list[str]:
    if networks.prompt is not None:
        return [networks.prompt] * len(records)
    found = []
    for record in records:
        prompt = read_info(folder / record.id).settings.get("prompt")
        if not prompt:
            raise UserError(f"{folder / record.id}: carries no prompt; give one for all pictures with --prompt")
        found.append(prompt)
    return found


def least_of(networks: Networks) -> float:
    """The mean aesthetic score that is wished."""
    return networks.aesthetic.min if networks.aesthetic is not None else LEAST


def _shown(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.{_DECIMALS.get(name, 2)}f}"
    text = str(value)
    return text if len(text) <= _LONGEST else f"...{text[3 - _LONGEST :]}"


def _aligned(cell: str, width: int, name: str) -> str:
    return cell.ljust(width) if name in ("file", "nearest") else cell.rjust(width)
