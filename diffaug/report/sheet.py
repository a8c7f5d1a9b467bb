"""Sheets of images: real, kept and rejected ones below each other, with their labels and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from diffaug.dataset.records import Record
from diffaug.pictures.fonts import font_for
from diffaug.pictures.grid import Cell, Section, make_sections
from diffaug.runtime.files import atomic_path
from diffaug.scoring.ledger import Entry

COLUMNS, SCENE_COLUMNS = 10, 5  # scenes have small objects
_WIDTH, _LINE, _GAP = 1164, 26, 4
_COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000", "#808000", "#000075")


@dataclass(frozen=True)
class Tile:
    """A record and the caption below it."""

    record: Record
    caption: str


def sample(records: Sequence[Record], count: int, seed: int) -> list[Record]:
    """At most `count` records, drawn evenly from the labels with the seed, sorted by label."""
    order = np.random.default_rng(seed).permutation(len(records))
    turn: dict[int | None, int] = {}
    ranked = []
    for index in order:
        label = records[index].label
        ranked.append((turn.get(label, 0), index))
        turn[label] = turn.get(label, 0) + 1
    chosen = [records[index] for _, index in sorted(ranked)[:count]]
    return sorted(chosen, key=lambda record: (-1 if record.label is None else record.label, record.id))


def captioned(records: Sequence[Record], names: Sequence[str], reasons: dict[str, str] | None = None) -> list[Tile]:
    """Tiles with the class (or the scene's id) and, if given, the reason below it."""
    tiles = []
    for record in records:
        name = names[record.label] if record.label is not None else Path(record.id).name
        tiles.append(Tile(record, f"{name}\n{(reasons or {}).get(record.id, '')}"))
    return tiles


def make_sheet(
    sections: Sequence[tuple[str, Sequence[Tile]]], columns: int = COLUMNS, names: Sequence[str] = ()
) -> Image.Image:
    """The sections below each other, each with a title and rows of tiles; boxes are coloured by class, with a legend on
    top."""
    boxed = sorted({category for _, tiles in sections for tile in tiles for category in tile.record.category})
    legend = _legend([(names[category], _color(category)) for category in boxed if category < len(names)])
    cells = [Section(title, [_cell(tile) for tile in tiles]) for title, tiles in sections]
    pictures = make_sections(cells, columns, _WIDTH)
    sheet = Image.new("RGB", (_WIDTH, legend.height + pictures.height), "white")
    sheet.paste(legend, (0, 0))
    sheet.paste(pictures, (0, legend.height))
    return sheet


def _legend(entries: Sequence[tuple[str, str]]) -> Image.Image:
    """Lines of squares in the classes' colours, each with its name; of height 0 without entries."""
    places, left, top = [], _GAP, _GAP
    for name, _ in entries:
        width = 18 + round(font_for(name, 14).getlength(name)) + 18
        if left > _GAP and left + width > _WIDTH:
            left, top = _GAP, top + _LINE
        places.append((left, top))
        left += width
    picture = Image.new("RGB", (_WIDTH, top + _LINE if entries else 0), "white")
    pen = ImageDraw.Draw(picture)
    for (name, color), (left, top) in zip(entries, places):
        pen.rectangle([left, top + 3, left + 12, top + 15], fill=color)
        pen.text((left + 18, top), name, fill="black", font=font_for(name, 14))
    return picture


def _color(category: int) -> str:
    return _COLORS[category % len(_COLORS)]


def _cell(tile: Tile) -> Cell:
    record = tile.record
    boxes = [(box, _color(category)) for box, category in zip(record.bbox, record.category)]
    return Cell(record.open(), tile.caption, boxes)


def task_sheet(
    real: Sequence[Record],
    generated: Sequence[Record],
    ledger: Sequence[Entry],
    names: Sequence[str],
    rows: int,
    seed: int,
) -> Image.Image:
    """Real train images, kept and rejected synthetic ones (with the reason), at most `rows` rows of each."""
    reasons = {entry.id: entry.reason for entry in ledger}
    kept = [record for record in generated if not reasons.get(record.id)]
    rejected = [record for record in generated if reasons.get(record.id)]
    columns = COLUMNS if any(record.label is not None for record in real) else SCENE_COLUMNS
    count = rows * columns
    return make_sheet(
        [
            (f"real train images ({len(real)})", captioned(sample(real, count, seed), names)),
            (f"synthetic, kept ({len(kept)})", captioned(sample(kept, count, seed), names)),
            (f"synthetic, rejected ({len(rejected)})", captioned(sample(rejected, count, seed), names, reasons)),
        ],
        columns,
        names,
    )


def save_png(image: Image.Image, path: Path) -> None:
    """Write the image, completely or not at all."""
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", compress_level=6)
