from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffaug.params.download import DownloadParams, OxfordPetBoxes
from diffaug.sources.real import check_classes, check_disjoint
from diffaug.sources.tasks import read_both

PAGE = """<annotation><size><width>30</width><height>20</height><depth>3</depth></size>
<object><name>{}</name><difficult>0</difficult>
<bndbox><xmin>5</xmin><ymin>3</ymin><xmax>14</xmax><ymax>12</ymax></bndbox></object></annotation>"""


def test_boxes_of_the_pets_that_have_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "torchvision/oxford_iiit_pet/oxford-iiit-pet"
    (root / "annotations/xmls").mkdir(parents=True)
    (root / "images").mkdir()
    lists: dict[str, list[str]] = {"trainval": [], "test": []}
    for number in range(24):
        kind, breed = ("cat", "Abyssinian") if number % 2 else ("dog", "beagle")
        name = f"{breed}_{number}"
        pixels = np.random.default_rng(min(number, 22)).integers(256, size=(20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"images/{name}.jpg")
        lists["trainval" if number < 20 else "test"].append(f"{name} {1 + number % 2} {1 + number % 2} 1")
        if number < 20:
            (root / f"annotations/xmls/{name}.xml").write_text(PAGE.format(kind))
    (root / "annotations/xmls/._beagle_0.xml").write_bytes(b"\0")  # as macOS leaves them in archives
    for name, lines in lists.items():
        (root / f"annotations/{name}.txt").write_text("\n".join(lines) + "\n")
    source = OxfordPetBoxes(source="oxford_iiit_pet", val_fraction=0.2, test_fraction=0.3)
    _, det = read_both(DownloadParams(seed=0, strict=True, cls=None, det=source), tmp_path)
    assert det.names == ("cat", "dog")
    assert {split: len(records) for split, records in det.splits.items()} == {"train": 10, "val": 4, "test": 6}
    assert {box for records in det.splits.values() for record in records for box in record.bbox} == {(4, 2, 10, 10)}
    check_classes(det, "det")
    check_disjoint(det.splits.items())
    assert "4 images of oxford_iiit_pet have no boxes, and are left out" in capsys.readouterr().out
