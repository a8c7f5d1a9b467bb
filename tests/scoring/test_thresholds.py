"""Thresholds that are `auto` follow from real train images; a number stays as it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sets import made, noise, real, write_material

from diffaug.params.filter import ClsChecks, DetChecks
from diffaug.scoring import correlation
from diffaug.scoring import hash as hashes
from diffaug.scoring.thresholds import settle, threshold

NEAR = {"min_train": 0.0, "min_heldout": "auto", "min_generated": 0.0}
BLANK = {"min_std": "auto", "min_entropy": 0.0, "min_sharpness": 0.0, "flagged": "keep"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settled(tmp_path: Path, sections: dict[str, Any], **sets: Any) -> Any:
    material = write_material(tmp_path, [made("g0", noise(1))], **sets)
    return settle(ClsChecks.model_validate(sections), material, tmp_path / "work", tmp_path / "out")


def test_all_but_one_in_a_hundred_keep_it() -> None:
    assert threshold([float(value) for value in range(101)], 50) == 1.0
    assert threshold([9.0] * 10, 8) == 8  # at most
    assert threshold([], 8) == 8


@pytest.mark.parametrize(("count", "failing"), [(1, 0), (20, 0), (99, 0), (100, 1), (150, 1), (200, 2)])
def test_few_real_images_do_not_fail_more_than_one_in_a_hundred(count: int, failing: int) -> None:
    values = [float(value) for value in range(count)]
    assert sum(value < threshold(values, count) for value in values) == failing


def test_frames_of_one_camera_are_no_copies_of_each_other(tmp_path: Path) -> None:
    """Real train images that differ from held-out ones in a few pixels only: so may synthetic ones."""

    def frame(place: int) -> Image.Image:
        picture = noise(7).copy()
        picture.paste((255, 255, 255), (place, 12, place + 5, 17))
        return picture

    train = [real(f"t{n}", frame(2 * n + 1), "train") for n in range(8)]
    test = [real(f"s{n}", frame(2 * n), "test") for n in range(8)]
    checks = settled(tmp_path, {"correlation": NEAR, "hash": NEAR}, train=train, test=test)
    for gate, section in ((correlation, checks.correlation), (hashes, checks.hash)):
        name = gate.__name__.rpartition(".")[2]
        scene = write_material(tmp_path / name, [made("g0", frame(9))], test=test)
        measured = gate.measure(scene, section)
        assert measured[f"{name}_heldout"][0] >= section.min_heldout
    assert 0 < checks.correlation.min_heldout < 0.05


def test_images_that_are_far_from_each_other_give_the_largest_threshold(tmp_path: Path) -> None:
    train = [real(f"t{n}", noise(100 + n), "train") for n in range(5)]
    test = [real(f"s{n}", noise(200 + n), "test") for n in range(5)]
    checks = settled(tmp_path, {"correlation": NEAR, "hash": NEAR, "degenerate": BLANK}, train=train, test=test)
    assert (checks.correlation.min_heldout, checks.hash.min_heldout) == (0.05, 8)
    assert checks.degenerate.min_std == 8.0


def test_real_surfaces_with_little_contrast_are_not_blank(tmp_path: Path) -> None:
    """Steel with a deviation of about 3 grey levels: so many are not blank, and one colour still is."""
    generator = np.random.default_rng(0)
    steel = [Image.fromarray(generator.normal(120, 3, (32, 32)).astype(np.uint8)) for _ in range(20)]
    checks = settled(
        tmp_path, {"degenerate": BLANK}, train=[real(f"t{n}", one, "train") for n, one in enumerate(steel)]
    )
    assert 2.5 < checks.degenerate.min_std <= 3.1


def test_a_number_stays_and_nothing_is_measured_for_it(tmp_path: Path) -> None:
    checks = settled(tmp_path, {"hash": NEAR | {"min_heldout": 3.0}}, train=[real("t0", noise(3), "train")])
    assert checks.hash.min_heldout == 3.0
    assert not (tmp_path / "work").exists()
    assert json.loads((tmp_path / "out/thresholds.json").read_text()) == {}


def test_it_is_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settled(tmp_path, {"hash": NEAR}, train=[real("t0", noise(3), "train")], test=[real("s0", noise(4), "test")])
    assert capsys.readouterr().out == "filter: cls: hash: min_heldout 8 (auto, by real train images)\n"
    assert json.loads((tmp_path / "out/thresholds.json").read_text()) == {"hash": {"min_heldout": 8}}


def test_a_task_that_is_null_needs_no_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    material = write_material(tmp_path, [], task="det", names=())
    checks = DetChecks.model_validate({"hash": NEAR, "correlation": NEAR, "degenerate": BLANK})
    assert settle(checks, material, tmp_path / "work", tmp_path / "out").correlation is not None
    assert capsys.readouterr().out == ""
