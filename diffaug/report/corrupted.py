"""A sheet of one test image under every corruption."""

import numpy as np
from PIL import Image

from diffaug.dataset.codec import encode_png, to_rgb_array
from diffaug.dataset.records import Record, make_record
from diffaug.evaluation.corruptions import as_seen, choose_images, corrupted_versions, list_conditions
from diffaug.params.evaluate import RobustnessParams
from diffaug.report.sheet import Tile, make_sheet


def corrupted_sheet(test: list[Record], params: RobustnessParams, side: int, seed: int) -> Image.Image:
    """The first image that evaluate corrupts, at the network's input size `side`: one row per corruption, with the
    unchanged image first, then by severity."""
    conditions = list_conditions(params)
    record = test[choose_images(len(test), params, seed)[0]]
    versions = corrupted_versions(record, _seen(record, side), conditions, seed)
    tiles = [
        Tile(make_record(str(place), encode_png(Image.fromarray(pixels)), "test"), f"severity {one.severity}")
        for place, (pixels, one) in enumerate(zip(versions, conditions))
    ]
    rows: dict[str, list[Tile]] = {}
    for tile, one in zip(tiles[1:], conditions[1:]):
        rows.setdefault(one.corruption, [tiles[0]]).append(tile)
    return make_sheet(list(rows.items()), max(len(row) for row in rows.values()))


def _seen(record: Record, side: int) -> np.ndarray:
    """The pixels as the classifier gets an image, or the detector a scene."""
    if record.label is not None:
        return to_rgb_array(record.open(), side)
    return as_seen(to_rgb_array(record.open()), side)
