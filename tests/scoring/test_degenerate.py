from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sets import made, noise, write_material

from diffaug.params.filter import Degenerate
from diffaug.scoring.degenerate import failures, measure, sharpness

CHECKS = Degenerate(min_std=8.0, min_entropy=1.0, min_sharpness=10.0, flagged="reject")
FINE = {"std": 8.0, "entropy": 1.0, "sharpness": 10.0, "flagged": -1}


def test_values_worked_out_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    halves = Image.new("L", (32, 32))
    halves.paste(255, (16, 0, 32, 32))
    black = Image.new("RGB", (32, 32))
    material = write_material(
        tmp_path, [made("a", halves), made("b", black, flagged=True), made("c", noise(1), flagged=False)]
    )
    columns = measure(material, CHECKS)
    assert columns["std"][:2] == [127.5, 0.0]
    assert columns["entropy"][:2] == pytest.approx([1.0, 0.0])  # two levels, equally often: one bit
    assert columns["flagged"] == [-1, 1, 0]
    assert columns["sharpness"][1] == 0.0


def test_the_laplacian_sees_edges() -> None:
    """A step of height 10 gives 10 in one column of the step and -10 in the other: variance 100 x 2 / 8."""
    step = np.repeat([[0, 0, 0, 0, 10, 10, 10, 10]], 4, axis=0).astype(np.uint8)
    assert sharpness(step) == pytest.approx(25.0)
    sharp = noise(2)
    blurred = sharp.filter(ImageFilter.GaussianBlur(2))
    assert sharpness(np.asarray(blurred.convert("L"))) < 0.5 * sharpness(np.asarray(sharp.convert("L")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, []),
        ({"std": 7.9}, ["blank"]),
        ({"entropy": 0.9}, ["low entropy"]),
        ({"sharpness": 9.9}, ["blurred"]),
        ({"flagged": 1}, ["flagged as unsafe"]),
        ({"flagged": 0}, []),
    ],
)
def test_thresholds(change: dict, reason: list[str]) -> None:
    assert [what for what, fails in failures(FINE | change, CHECKS) if fails] == reason
    keep = CHECKS.model_copy(update={"flagged": "keep"})
    assert not any(fails for what, fails in failures(FINE | change, keep) if "flagged" in what)
