"""Changed copies of test images, planted among generated ones, are found: the nine kinds of benchmarks/copies.py."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from copies import KINDS
from paths import ROOT
from PIL import Image
from sets import made, real, write_material
from shared_data import shared

from diffaug.params.download import BoxFolder
from diffaug.params.filter import ClsChecks, DetChecks
from diffaug.scoring.ledger import Entry
from diffaug.scoring.policy import judge
from diffaug.scoring.scores import active, measured
from diffaug.scoring.thresholds import settle
from diffaug.sources.box_folder import box_folder
from diffaug.sources.placing import to_real_data

pytestmark = pytest.mark.slow

PLANTED = 20
LEAK = {"copy of val or test", "changed copy of val or test"}
Images = Mapping[str, Sequence[Image.Image]]
SECTIONS: dict[str, type[ClsChecks] | type[DetChecks]] = {"cls": ClsChecks, "det": DetChecks}


@pytest.fixture(scope="module")
def photographs() -> Images:
    """Real photographs of all classes, 32 x 32 pixels: 300 of test and 300 of train."""
    found: dict[str, list[Image.Image]] = {"test": [], "train": []}
    with zipfile.ZipFile(shared("cifar10-jpeg-20k/cifar10_jpeg_20k.zip")) as archive:
        for name in sorted(archive.namelist()):
            split, number = name.partition("/")[0], Path(name).stem
            if name.endswith(".jpg") and int(number) < 30:
                found[split].append(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
    return found


@pytest.fixture(scope="module")
def scenes() -> Images:
    """Photographs of blood cells at 64 pixels, where a shift by one is large, in their official splits."""
    folder = BoxFolder(source="folder", path=str(shared("bccd")), val_fraction=0.2, test_fraction=0.2)
    splits = to_real_data(box_folder(folder), folder, 0, strict=False).splits
    return {split: [record.open().resize((64, 64)) for record in splits[split]] for split in ("train", "test")}


def plant(images: Images, kind: str, gates: Sequence[str], folder: Path, task: str) -> tuple[int, float]:
    """How many of 20 changed copies of test images, and which share of the other images (half of train), these gates
    reject as copies, with the thresholds of the default params and the other half of train."""
    test, label = images["test"], 0 if task == "cls" else None
    copies = [KINDS[kind](test[number]) for number in range(0, len(test), len(test) // PLANTED)][:PLANTED]
    others = images["train"][::2]
    generated = [made(f"copy-{number}", image, label) for number, image in enumerate(copies)]
    generated += [made(f"other-{number}", image, label) for number, image in enumerate(others)]
    train = [real(f"t{number}", image, "train", label) for number, image in enumerate(images["train"][1::2])]
    held = [real(f"s{number}", image, "test", label) for number, image in enumerate(test)]
    material = write_material(folder, generated, train=train, test=held, task=task)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["filter"][task]
    given = SECTIONS[task].model_validate({name: raw[name] for name in gates})
    checks = settle(given, material, folder / "work", folder / "out")
    columns: dict[str, list] = {}
    for name, section in active(checks).items():
        columns |= measured(name, section, material, folder / "work")
    rows = [{name: values[index] for name, values in columns.items()} for index in range(len(generated))]
    judged = [judge(Entry(record.id, "", row), checks) for record, row in zip(material.generated, rows)]
    leaks = [one.id.split("-")[0] for one in judged if one.reason in LEAK]
    return leaks.count("copy"), leaks.count("other") / len(others)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["cls", "det"])
def test_planted_copies_are_found_and_others_are_not(
    task: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = request.getfixturevalue({"cls": "photographs", "det": "scenes"}[task])
    found, accused = plant(images, kind, ["hash", "correlation"], tmp_path, task)
    assert found == PLANTED
    assert accused <= 0.02


@pytest.mark.parametrize("kind", ["turned by 3 degrees", "cropped by 5 %"])
def test_the_hash_alone_misses_turned_and_cropped_copies(
    kind: str, photographs: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the correlation is not measured for nothing."""
    monkeypatch.chdir(tmp_path)
    assert plant(photographs, kind, ["hash"], tmp_path, "cls")[0] < PLANTED / 2
    assert plant(photographs, kind, ["correlation"], tmp_path, "cls")[0] == PLANTED
