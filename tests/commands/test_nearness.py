"""Distances of real train images to held-out ones, and what follows from them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffaug.commands.nearness import nearness, nearness_remark, thresholds
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.params.filter import ClsChecks
from diffaug.scoring.material import Material
from diffaug.scoring.thresholds import settle
from diffaug.sources.real import RealData

_SPLITS = {"train": 60, "val": 12, "test": 12}


def photographs(seed: int, side: int, same: float) -> RealData:
    """Pictures of soft spots; same: the share of all of them that is one picture, 0 to 1 (a fixed camera)."""
    generator = np.random.default_rng(seed)
    background = spots(generator, side)

    def record(name: str, split: str) -> Record:
        pixels = same * background + (1 - same) * spots(generator, side)
        data = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(data, "PNG")
        return make_record(name, data.getvalue(), split, label=0)

    splits = {split: tuple(record(f"{split}/{n}", split) for n in range(count)) for split, count in _SPLITS.items()}
    return RealData(("spots",), splits)


def spots(generator: np.random.Generator, side: int) -> np.ndarray:
    small = Image.fromarray(generator.integers(0, 256, (6, 6), dtype=np.uint8))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)


def test_filter_will_find_the_same_thresholds(tmp_path: Path) -> None:
    data = photographs(0, 48, 0.9)
    found = nearness("cls", data)
    real = {split: ImageSet(data.names, records) for split, records in data.splits.items()}
    material = Material("cls", 0, "val_and_test", real, ImageSet(data.names, ()))
    checks = ClsChecks.model_validate({name: values for name, (values, _) in thresholds("cls", found).items()})
    settle(checks, material, tmp_path, tmp_path)
    settled = json.loads((tmp_path / "thresholds.json").read_text(encoding="utf-8"))
    assert settled["hash"]["min_heldout"] == found.hash.fitted
    assert settled["correlation"]["min_heldout"] == pytest.approx(found.correlation.fitted)
    assert settled["degenerate"]["min_std"] == found.std.fitted


def test_large_photographs_are_reduced_and_the_numbers_stay() -> None:
    small, large = (nearness("cls", photographs(0, side, 0.0)) for side in (200, 700))
    assert large.hash.usual == pytest.approx(small.hash.usual, abs=2)
    assert large.correlation.usual == pytest.approx(small.correlation.usual, abs=0.02)
    assert large.std.usual == pytest.approx(small.std.usual, rel=0.05)


def test_unlike_photographs_are_no_copies() -> None:
    found = nearness("cls", photographs(0, 48, 0.0))
    assert found.hash.fitted == 8 and found.correlation.fitted == 0.05 and nearness_remark("cls", found) is None


def test_a_fixed_camera_is_said() -> None:
    found = nearness("det", photographs(0, 48, 0.97))
    said = nearness_remark("det", found)
    assert found.correlation.as_copies and said is not None and "download.det.group" in said
