from pathlib import Path

import pytest
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.export.folders import plain, write_image_folder
from diffaug.runtime.errors import UserError


@pytest.mark.parametrize("names", [("a/b", "a_b"), ("ok", ".."), ("Cat", "cat"), ("é", "e\u0301")], ids=str)
def test_classes_stay_apart_and_below_the_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    records = tuple(
        make_record(f"{index}", encode_png(Image.new("L", (2, 2), index)), "train", label=index) for index in range(2)
    )
    try:
        write_image_folder(ImageSet(names, records), tmp_path / "out")
    except UserError:
        return
    assert len([path for path in (tmp_path / "out").iterdir() if path.is_dir()]) == 2


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc", "_.._etc"),
        ("a\0b\nc", "a_b_c"),
        ("\u202egnp", "_gnp"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("..", "_"),
        ("LPT¹", "_LPT¹"),
        ("猫" * 100, "猫" * 66),
        ("=1+1", "=1+1"),
        ("猫", "猫"),
    ],
)
def test_a_name_is_one_file_on_every_system(name: str, safe: str) -> None:
    assert plain(name) == safe


def test_the_file_of_an_image_with_a_long_name_can_be_written(tmp_path: Path) -> None:
    record = make_record(f"cats/{'猫' * 80}.png", encode_png(Image.new("L", (2, 2))), "train", label=0)
    write_image_folder(ImageSet(("cat",), (record,)), tmp_path)
    assert [path.name for path in (tmp_path / "cat").iterdir()] == [f"000000-{'猫' * 60}.png"]
