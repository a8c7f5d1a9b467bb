"""Test images planted among generated ones are found: re-encoded, shifted by a pixel, mirrored, all three."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from paths import ROOT
from PIL import Image, ImageOps
from sets import made, real, write_material
from shared_data import shared

from diffaug.params.download import BoxFolder
from diffaug.params.filter import ClsChecks, DetChecks
from diffaug.scoring.ledger import Entry
from diffaug.scoring.policy import judge
from diffaug.scoring.scores import active, measured
from diffaug.sources.box_folder import box_folder
from diffaug.sources.placing import to_real_data

pytestmark = pytest.mark.slow

PLANTED, OTHERS = 20, 300
LEAK = {"copy of val or test", "shifted copy of val or test"}


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return Image.open(buffer).convert(image.mode)


def shifted(image: Image.Image) -> Image.Image:
    """Shifted by one pixel to the right; the left column occurs twice."""
    pixels = np.asarray(image)
    return Image.fromarray(np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1))


def all_three(image: Image.Image) -> Image.Image:
    return jpeg(ImageOps.mirror(shifted(image)))


@pytest.fixture(scope="module")
def photographs() -> dict[str, list[Image.Image]]:
    """Real photographs, 32 x 32 pixels: test images of all classes, and equally many others."""
    found: dict[str, list[Image.Image]] = {"test": [], "train": []}
    with zipfile.ZipFile(shared("cifar10-jpeg-20k/cifar10_jpeg_20k.zip")) as archive:
        for name in sorted(archive.namelist()):
            split, number = name.partition("/")[0], Path(name).stem
            if name.endswith(".jpg") and int(number) < OTHERS // 10:
                found[split].append(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
    return found


CHANGES = [jpeg, shifted, ImageOps.mirror, all_three]


def plant(
    photographs: dict[str, list[Image.Image]],
    change: Callable[[Image.Image], Image.Image],
    checks: ClsChecks | DetChecks,
    folder: Path,
    task: str,
    label: int | None,
) -> tuple[int, int]:
    """How many of the changed copies of test images, and of the other images (from train), are rejected as copies."""
    test = photographs["test"]
    copies = [change(test[number]) for number in range(0, len(test), len(test) // PLANTED)][:PLANTED]
    generated = [made(f"copy-{number}", image, label) for number, image in enumerate(copies)]
    generated += [made(f"other-{number}", image, label) for number, image in enumerate(photographs["train"])]
    known = [real(f"{number}", image, "test", label) for number, image in enumerate(test)]
    material = write_material(folder, generated, test=known, task=task)
    columns = [measured(name, section, material, folder) for name, section in active(checks).items()]
    scores = {name: values for some in columns for name, values in some.items()}
    rows = [{name: values[index] for name, values in scores.items()} for index in range(len(material.generated))]
    judged = [judge(Entry(record.id, "", row), checks) for record, row in zip(material.generated, rows)]
    leaks = [one.id.split("-")[0] for one in judged if one.reason in LEAK]
    return leaks.count("copy"), leaks.count("other")


@pytest.mark.parametrize("change", CHANGES)
def test_planted_test_images_are_caught(
    change: Callable[[Image.Image], Image.Image],
    photographs: dict[str, list[Image.Image]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the thresholds of the default params; almost no other photograph of the same classes is rejected."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["filter"]["cls"]
    checks = ClsChecks.model_validate({name: raw[name] for name in ("hash", "pixels")})
    caught, accused = plant(photographs, change, checks, tmp_path, "cls", 0)
    assert caught == PLANTED
    assert accused <= 0.01 * OTHERS


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Image.Image]]:
    """Photographs of blood cells at 64 pixels, where a shift by one is large, in their official splits."""
    folder = BoxFolder(source="folder", path=str(shared("bccd")), val_fraction=0.2, test_fraction=0.2)
    splits = to_real_data(box_folder(folder), folder, 0, strict=False).splits
    return {split: [record.open().resize((64, 64)) for record in splits[split]] for split in ("train", "test")}


@pytest.mark.parametrize("change", CHANGES)
def test_planted_test_scenes_are_caught(
    change: Callable[[Image.Image], Image.Image],
    scenes: dict[str, list[Image.Image]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With only the default's hash, which is enough for scenes: no other photograph is near."""
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["filter"]["det"]
    checks = DetChecks.model_validate({"hash": raw["hash"]})
    assert plant(scenes, change, checks, tmp_path, "det", None) == (PLANTED, 0)
