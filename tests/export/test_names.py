from pathlib import Path

import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.export.folders import write_image_folder
from diffaug.runtime.errors import UserError


@pytest.mark.parametrize("names", [("a/b", "a_b"), ("ok", "..")], ids=["alike", "parent folder"])
def test_classes_stay_apart_and_below_the_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    records = tuple(
        make_record(f"{index}", encode_png(Image.new("L", (2, 2), index)), "train", label=index) for index in range(2)
    )
    try:
        write_image_folder(ImageSet(names, records), tmp_path / "out")
    except UserError:
        return
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_dir()]) == 2
