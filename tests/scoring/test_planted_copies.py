"""Test images planted among generated ones are found: re-encoded, shifted by a pixel, mirrored, all three."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from import_graph import ROOT
from PIL import Image, ImageOps
from scoring.sets import made, real, write_material
from shared_data import shared

from diffaug.params.filtering import ClsChecks
from diffaug.scoring.ledger import Entry
from diffaug.scoring.policy import judge
from diffaug.scoring.scores import measure_all

PLANTED, OTHERS = 20, 300
LEAK = {"copy of val or test", "shifted copy of val or test"}


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return Image.open(buffer).convert(image.mode)


def shifted(image: Image.Image) -> Image.Image:
    """By one pixel to the right; the left column twice."""
    pixels = np.asarray(image)
    return Image.fromarray(np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1))


def all_three(image: Image.Image) -> Image.Image:
    return jpeg(ImageOps.mirror(shifted(image)))


@pytest.fixture(scope="module")
def photographs() -> dict[str, list[Image.Image]]:
    """Real ones, 32 x 32 pixels: test images of all classes, and as many others."""
    found: dict[str, list[Image.Image]] = {"test": [], "train": []}
    with zipfile.ZipFile(shared("cifar10-jpeg-20k/cifar10_jpeg_20k.zip")) as archive:
        for name in sorted(archive.namelist()):
            split, number = name.partition("/")[0], Path(name).stem
            if name.endswith(".jpg") and int(number) < OTHERS // 10:
                found[split].append(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
    return found


@pytest.mark.parametrize("change", [jpeg, shifted, ImageOps.mirror, all_three])
def test_planted_test_images_are_caught(
    change: Callable[[Image.Image], Image.Image],
    photographs: dict[str, list[Image.Image]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the thresholds of the default params; of other photographs of the same classes hardly one is accused."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["filter"]["cls"]
    checks = ClsChecks.model_validate({name: raw[name] for name in ("hash", "pixels")})
    test = photographs["test"]
    copies = [change(test[number]) for number in range(0, len(test), len(test) // PLANTED)][:PLANTED]
    generated = [made(f"copy-{number}", image) for number, image in enumerate(copies)]
    generated += [made(f"other-{number}", image) for number, image in enumerate(photographs["train"])]
    material = write_material(
        tmp_path, generated, test=[real(f"{number}", image, "test") for number, image in enumerate(test)]
    )
    rows = measure_all(checks, material, tmp_path)
    judged = [judge(Entry(record.id, "", row), checks) for record, row in zip(material.generated, rows)]
    caught = [one.id for one in judged if one.id.startswith("copy") and one.reason in LEAK]
    accused = [one.id for one in judged if one.id.startswith("other") and one.reason in LEAK]
    assert len(caught) == PLANTED
    assert len(accused) <= 0.01 * OTHERS
