"""One test image under every corruption, for the eye."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.evaluation.corruptions import Condition
from diffaug.report.sheet import Tile, draw_sheet


def corrupted_sheet(versions: Sequence[np.ndarray], conditions: Sequence[Condition]) -> Image.Image:
    """A row for each corruption, by severity, each after the image as it is. versions: uint8 (H, W, 3), one for each
    condition, the image as it is first."""
    tiles = [
        Tile(make_record(str(place), encode_png(Image.fromarray(pixels)), "test"), f"severity {one.severity}")
        for place, (pixels, one) in enumerate(zip(versions, conditions))
    ]
    rows: dict[str, list[Tile]] = {}
    for tile, one in zip(tiles[1:], conditions[1:]):
        rows.setdefault(one.corruption, [tiles[0]]).append(tile)
    return draw_sheet(list(rows.items()), max(len(row) for row in rows.values()))
