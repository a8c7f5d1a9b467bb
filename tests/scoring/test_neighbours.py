"""Copies of train, leaks of val and test, mode collapse: by hash and by correlation, on images with known distances."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageOps
from sets import made, noise, real, write_material

from diffaug.params.filter import Neighbours
from diffaug.scoring import correlation
from diffaug.scoring import hash as hashes
from diffaug.scoring.material import Material
from diffaug.scoring.neighbours import NEAREST

CHECKS = Neighbours(min_train=3.0, min_heldout=4.0, min_generated=2.0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("score", "name", "copied", "other"), [(hashes, "hash", 1.5, 5), (correlation, "correlation", 1e-6, 0.3)]
)
def test_the_nearest_of_each_group_is_named(
    score: ModuleType, name: str, copied: float, other: float, tmp_path: Path
) -> None:
    material = write_material(
        tmp_path,
        [made("g0", noise(1)), made("g1", noise(2)), made("g2", ImageOps.mirror(noise(3))), made("g3", noise(2))],
        train=[real("t0", noise(9), "train"), real("t1", noise(1), "train")],
        val=[real("v0", noise(2), "val")],
        test=[real("s0", noise(3), "test")],
    )
    columns = score.measure(material, CHECKS)
    assert columns[f"{name}_nearest_train"][0] == "t1" and columns[f"{name}_train"][0] == pytest.approx(0, abs=1e-6)
    assert columns[f"{name}_nearest_heldout"][1:3] == ["v0", "s0"]
    assert columns[f"{name}_heldout"][1] == pytest.approx(0, abs=1e-6)
    assert columns[f"{name}_heldout"][2] == pytest.approx(0, abs=copied)  # the mirror image is a copy too
    assert columns[f"{name}_nearest_generated"][0] == "" and columns[f"{name}_nearest_generated"][3] == "g1"
    assert columns[f"{name}_generated"][3] == pytest.approx(0, abs=1e-6)
    assert columns[f"{name}_generated"][1] > other  # the first of two similar images stays
    assert min(columns[f"{name}_train"][1:3]) > other


@pytest.mark.parametrize(("score", "name", "far"), [(hashes, "hash", 64), (correlation, "correlation", 2)])
def test_with_nothing_to_compare_with_all_is_far(score: ModuleType, name: str, far: float, tmp_path: Path) -> None:
    columns = score.measure(write_material(tmp_path, [made("a", noise(1))]), CHECKS)
    assert [columns[f"{name}_{group}"] for group in NEAREST] == [[far]] * 3
    assert score.measure(write_material(tmp_path, []), CHECKS)[f"{name}_train"] == []


@pytest.mark.parametrize(("score", "name"), [(hashes, "hash"), (correlation, "correlation")])
def test_a_scene_and_its_photograph_are_one_family(score: ModuleType, name: str, tmp_path: Path) -> None:
    photo, other = real("t0", noise(1), "train", None), real("t1", noise(2), "train", None)
    scenes = [made(f"g{n}", noise(1), None, source_id=source) for n, source in enumerate(("t0", "t0", "t1"))]
    columns = score.measure(write_material(tmp_path, scenes, train=[photo, other], task="det"), CHECKS)
    assert columns[f"{name}_nearest_train"] == ["t1", "t1", "t0"]
    assert columns[f"{name}_train"][2] == pytest.approx(0, abs=1e-6)  # the photograph of another scene
    assert columns[f"{name}_nearest_generated"] == ["", "", "g0"]


def test_correlation_is_one_minus_r_of_the_grey_levels(tmp_path: Path) -> None:
    """A paler and darker version has r = 1; a picture of one grey level is like no other."""
    levels = np.asarray(noise(4).convert("L"))
    material = write_material(
        tmp_path,
        [made("a", Image.fromarray(levels // 2 + 60)), made("b", Image.new("L", (32, 32), 90))],
        train=[real("t0", Image.fromarray(levels), "train")],
    )
    assert correlation.measure(material, CHECKS)["correlation_train"] == pytest.approx([0.0, 1.0], abs=1e-3)


def test_r_of_a_picture_worked_out_by_hand(tmp_path: Path) -> None:
    """Left half bright; upper left quarter bright. The means are 1/2 and 1/4, the covariance is 1/8, the deviations are
    1/2 and the root of 3/16: r = 0.577, but the border is not compared and the edges are blurred."""
    half, quarter = Image.new("L", (320, 320)), Image.new("L", (320, 320))
    half.paste(255, (0, 0, 160, 320))
    quarter.paste(255, (0, 0, 160, 160))
    material = write_material(tmp_path, [made("a", half)], train=[real("t0", quarter, "train")])
    assert 1 - correlation.measure(material, CHECKS)["correlation_train"][0] == pytest.approx(0.577, abs=0.03)


def test_large_photographs_are_compared_small(tmp_path: Path) -> None:
    material = write_material(
        tmp_path,
        [made("a", noise(1, 200).resize((160, 120)))],
        train=[real("t0", noise(1, 300).resize((320, 240)), "train")],
    )
    assert correlation.measure(material, CHECKS)["correlation_train"][0] < 0.001


def test_one_tiny_image_does_not_make_all_comparisons_coarse(tmp_path: Path) -> None:
    """At 4 x 4 pixels, narrow stripes are one grey level, which is like nothing."""
    striped = Image.fromarray(np.tile(np.repeat(np.uint8([40, 200]), 4), (64, 8)))
    plain = Image.fromarray(np.tile(np.repeat(np.uint8([200, 40]), 16), (64, 2)))
    train = [real("t0", striped, "train"), real("t1", noise(1).resize((4, 4)), "train")]
    material = write_material(tmp_path, [made("a", striped), made("b", plain)], train=train)
    near, far = correlation.measure(material, CHECKS)["correlation_train"]
    assert near == pytest.approx(0, abs=1e-6) and far > 0.5


def test_val_alone_can_be_held_out(tmp_path: Path) -> None:
    """The ledger then does not know test, and what was measured before is not taken for it."""
    sets = {"val": [real("v0", noise(2), "val")], "test": [real("s0", noise(3), "test")]}
    both = write_material(tmp_path, [made("g0", noise(3))], **sets)
    val = next(iter(Material.of_draws("cls", 0, "val").values()))
    assert hashes.measure(both, CHECKS)["hash_nearest_heldout"] == ["s0"]
    assert hashes.measure(val, CHECKS)["hash_nearest_heldout"] == ["v0"]
    assert both.key != val.key


def test_one_more_seed_leaves_the_first_draw_the_first(tmp_path: Path) -> None:
    """The numbers of the set of kept images are those of the first seed's draw, also if a lower seed is added."""
    for seeds in ((5,), (5, 2), (7, 5, 2)):
        write_material(tmp_path, [made(f"s{seed}-g", noise(seed), draw=seed) for seed in seeds])
        assert next(iter(Material.of_draws("cls", 5))) == 5


@pytest.mark.parametrize(
    ("score", "name", "what"), [(hashes, "hash", "copy"), (correlation, "correlation", "changed copy")]
)
def test_thresholds(score: ModuleType, name: str, what: str) -> None:
    row = {f"{name}_train": 3, f"{name}_heldout": 4, f"{name}_generated": 2}
    for group, said in (("train", "train"), ("heldout", "val or test"), ("generated", "synthetic")):
        worse = row | {f"{name}_{group}": row[f"{name}_{group}"] - 1}
        assert [reason for reason, fails in score.failures(worse, CHECKS) if fails] == [f"{what} of {said}"]
    assert not any(fails for _, fails in score.failures(row, CHECKS))
