"""Copies of train, leaks of val and test, mode collapse: by hash and by pixels, on images with known distances."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageOps
from sets import made, noise, real, write_material

from diffaug.params.filter import Neighbours
from diffaug.scoring import hash as hashes
from diffaug.scoring import pixels
from diffaug.scoring.neighbours import NEAREST

CHECKS = Neighbours(min_train=3.0, min_heldout=4.0, min_generated=2.0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("score", "name"), [(hashes, "hash"), (pixels, "pixels")])
def test_the_nearest_of_each_group_is_named(score: ModuleType, name: str, tmp_path: Path) -> None:
    material = write_material(
        tmp_path,
        [made("g0", noise(1)), made("g1", noise(2)), made("g2", ImageOps.mirror(noise(3))), made("g3", noise(2))],
        train=[real("t0", noise(9), "train"), real("t1", noise(1), "train")],
        val=[real("v0", noise(2), "val")],
        test=[real("s0", noise(3), "test")],
    )
    columns = score.measure(material, CHECKS)
    assert columns[f"{name}_nearest_train"][0] == "t1" and columns[f"{name}_train"][0] == 0
    assert columns[f"{name}_nearest_heldout"][1:3] == ["v0", "s0"]
    assert columns[f"{name}_heldout"][1] == 0
    assert columns[f"{name}_heldout"][2] == pytest.approx(0, abs=1.5)  # the mirror image is a copy too
    assert columns[f"{name}_nearest_generated"][0] == "" and columns[f"{name}_nearest_generated"][3] == "g1"
    assert (
        columns[f"{name}_generated"][3] == 0 and columns[f"{name}_generated"][1] > 5
    )  # the first of two similar images stays
    assert min(columns[f"{name}_train"][1:3]) > 5


@pytest.mark.parametrize(("score", "name", "far"), [(hashes, "hash", 64), (pixels, "pixels", 255)])
def test_with_nothing_to_compare_with_all_is_far(score: ModuleType, name: str, far: float, tmp_path: Path) -> None:
    columns = score.measure(write_material(tmp_path, [made("a", noise(1))]), CHECKS)
    assert [columns[f"{name}_{group}"] for group in NEAREST] == [[far]] * 3
    assert score.measure(write_material(tmp_path, []), CHECKS)[f"{name}_train"] == []


@pytest.mark.parametrize(("score", "name"), [(hashes, "hash"), (pixels, "pixels")])
def test_a_scene_and_its_photograph_are_one_family(score: ModuleType, name: str, tmp_path: Path) -> None:
    photo, other = real("t0", noise(1), "train", None), real("t1", noise(2), "train", None)
    scenes = [made(f"g{n}", noise(1), None, source_id=source) for n, source in enumerate(("t0", "t0", "t1"))]
    columns = score.measure(write_material(tmp_path, scenes, train=[photo, other], task="det"), CHECKS)
    assert columns[f"{name}_nearest_train"] == ["t1", "t1", "t0"]
    assert columns[f"{name}_train"][2] == 0  # the photograph of another scene
    assert columns[f"{name}_nearest_generated"] == ["", "", "g0"]


def test_pixels_are_grey_levels_after_the_best_shift(tmp_path: Path) -> None:
    """A shift of two pixels is found; a difference of 5 grey levels everywhere is a distance of 5."""
    picture = np.asarray(noise(4).convert("L"), dtype=np.int16)
    brighter = Image.fromarray(np.clip(picture // 2 + 60 + 5, 0, 255).astype(np.uint8))
    dark = Image.fromarray((picture // 2 + 60).astype(np.uint8))
    shifted = Image.fromarray(np.roll(picture, (1, -2), axis=(0, 1)).astype(np.uint8))
    material = write_material(
        tmp_path,
        [made("a", brighter), made("b", shifted)],
        train=[real("t0", dark, "train"), real("t1", noise(4).convert("L"), "train")],
    )
    columns = pixels.measure(material, CHECKS)
    assert columns["pixels_nearest_train"] == ["t0", "t1"]
    assert columns["pixels_train"] == pytest.approx([5.0, 0.0], abs=0.05)


def test_large_photographs_are_compared_small(tmp_path: Path) -> None:
    material = write_material(
        tmp_path,
        [made("a", noise(1, 200).resize((160, 120)))],
        train=[real("t0", noise(1, 300).resize((320, 240)), "train")],
    )
    assert pixels.measure(material, CHECKS)["pixels_train"][0] < 2


@pytest.mark.parametrize(("score", "name", "what"), [(hashes, "hash", "copy"), (pixels, "pixels", "shifted copy")])
def test_thresholds(score: ModuleType, name: str, what: str) -> None:
    row = {f"{name}_train": 3, f"{name}_heldout": 4, f"{name}_generated": 2}
    for group, said in (("train", "train"), ("heldout", "val or test"), ("generated", "synthetic")):
        worse = row | {f"{name}_{group}": row[f"{name}_{group}"] - 1}
        assert [reason for reason, fails in score.failures(worse, CHECKS) if fails] == [f"{what} of {said}"]
    assert not any(fails for _, fails in score.failures(row, CHECKS))
