"""How a generated scene differs from its photograph, and whether its boxes are inside it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffaug.dataset.provenance import Composition
from diffaug.dataset.records import Record
from diffaug.params.filter import Boxes
from diffaug.pictures.boxes import pixels_of
from diffaug.pictures.masks import part_mask
from diffaug.scoring.material import Columns, Material

MEASURED_BY: tuple[str, ...] = ()
_SLACK = 1.0  # pixels by which a box may leave the image, since formats round


def measure(material: Material, params: Boxes | None) -> Columns:
    """changed: share of pixels that differ from the photograph; protected: how many of them its mode must not change;
    boxes: how many; box_side: the shortest side in pixels, -1 without a box; box_outside: see `outside`."""
    compared = [
        changes(record, source) for record, source in zip(material.progress("boxes"), material.sources, strict=True)
    ]
    return {
        "changed": [one.share for one in compared],
        "protected": [one.protected for one in compared],
        "boxes": [len(record.bbox) for record in material.generated],
        "box_side": [min((min(box[2:]) for box in record.bbox), default=-1.0) for record in material.generated],
        "box_outside": [outside(record) for record in material.generated],
    }


def failures(row: Mapping[str, Any], params: Boxes) -> Iterator[tuple[str, bool]]:
    """The checks of the scene, from its row of the ledger: reason, and whether it fails."""
    yield "nothing new", row["changed"] < params.min_changed
    yield "box too small", 0 <= row["box_side"] < params.min_side
    yield "box off the image", row["box_outside"] > _SLACK


@dataclass(frozen=True)
class Changes:
    """The pixels that differ between a scene and its source: `share` of all, 0 to 1, and how many protected ones."""

    share: float
    protected: int


def changes(scene: Record, source: Record) -> Changes:
    """Compare the pixels. Protected ones that differ are a bug."""
    made = Composition.read(scene.settings)
    before, after = (np.asarray(record.open(), dtype=np.int16) for record in (source, scene))
    changed = np.abs(before - after).reshape(*before.shape[:2], -1).max(axis=2) > 0
    share = float(changed.mean())
    for box in made.pasted:
        changed[pixels_of(box)] = False
    for drawn in made.parts:
        part = drawn.part
        changed &= ~part_mask(source, scene.mode or "", part.region, part.object, part.padding)
    return Changes(share, int(changed.sum()))


def outside(scene: Record) -> float:
    """The largest number of pixels by which a box leaves the scene, 0 if none does."""
    width, height = scene.size
    return max((max(0.0, -x, -y, x + w - width, y + h - height) for x, y, w, h in scene.bbox), default=0.0)
