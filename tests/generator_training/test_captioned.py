"""Images with captions of one's own, and which of several is learned."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, make_record
from diffaug.generator_training.captioned import Captioned, captioned, own_pictures
from diffaug.generator_training.captions import Captions
from diffaug.runtime.errors import UserError


def records(count: int = 3) -> ImageSet:
    rows = (
        make_record(f"cat/{number}.jpg", encode_png(Image.new("RGB", (16, 16), (number, 0, 0))), "train", label=0)
        for number in range(count)
    )
    return ImageSet(("cat", "dog"), tuple(rows))


def write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_captions_of_ones_own_take_the_place_of_the_template(tmp_path: Path) -> None:
    texts = {"cat/0.txt": "a cat\na tabby", "cat/1.txt": "a tabby", "cat/2.txt": "a cat", "dog/7.txt": "not in train"}
    data = captioned([records()], "a photo of a {class}", 1.0, 16, Captions(write(tmp_path, texts)))
    assert data.captions == ("a cat", "a tabby") and data.names == ("cat", "dog")
    assert data.numbers.tolist() == [[0, 1], [1, -1], [0, -1]]
    with pytest.raises(UserError, match=r"has no caption for cat/3\.jpg"):
        captioned([records(4)], "a photo of a {class}", 1.0, 16, Captions(tmp_path))


@pytest.mark.parametrize(("size", "pixels"), [(16, (16, 16)), (18, (16, 16)), (32, None), (8, None)])
def test_the_size_of_pictures_that_are_smaller_than_the_canvas(size: int, pixels: tuple[int, int] | None) -> None:
    """Pictures that were scaled have none."""
    images = records()
    assert {record.size for record in images} == {(16, 16)}
    assert captioned([images], "a photo of a {class}", 1.0, size).pixels == pixels


def test_what_could_give_a_picture_anothers_caption_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", {"a.txt": "a cat"})
    for suffix in ("png", "jpg"):
        Image.new("RGB", (16, 16)).save(folder / f"a.{suffix}")
    with pytest.raises(UserError, match=r"a\.jpg and a\.png would share a caption; rename one"):
        own_pictures(folder, 16)
    (folder / "a.jpg").unlink()
    write(folder, {"metadata.csv": "file_name,text\na.png,a dog\n"})
    with pytest.raises(UserError, match=r"has metadata\.csv, and texts such as a\.txt; keep one of both"):
        own_pictures(folder, 16)


def test_a_caption_ends_at_the_end_of_its_line_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", {"a.txt": "a cat\u0085 asleep\r\na dog\n"})
    Image.new("RGB", (16, 16)).save(folder / "a.png")
    with pytest.raises(UserError, match=r"a\.txt: the caption"):  # the mark is not visible
        own_pictures(folder, 16)
    write(folder, {"a.txt": "a cat\u2003asleep\r\na dog\n"})
    assert own_pictures(folder, 16).captions == ("a cat\u2003asleep", "a dog")


def test_several_captions_take_turns_by_the_generator() -> None:
    numbers = torch.tensor([[0, -1, -1], [1, 2, -1], [3, 4, 5]])
    data = Captioned(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), numbers, tuple("abcdef"), ())
    index = torch.arange(3).repeat(3000)
    picked = data.pick(index, torch.Generator().manual_seed(0)).reshape(-1, 3)
    for column, allowed in enumerate(([0], [1, 2], [3, 4, 5])):
        found, counts = picked[:, column].unique(return_counts=True)
        assert found.tolist() == allowed
        assert (counts / 3000 - 1 / len(allowed)).abs().max() < 0.04
    again = data.pick(index, torch.Generator().manual_seed(0)).reshape(-1, 3)
    assert torch.equal(picked, again)


def test_one_caption_each_asks_the_generator_for_nothing() -> None:
    """So that a training without captions of one's own has the noise that it had before."""
    data = Captioned(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([[1], [0]]), ("a", "b"), ("a", "b"))
    generator = torch.Generator().manual_seed(0)
    assert data.pick(torch.tensor([0, 1, 1]), generator).tolist() == [1, 0, 0]
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


def test_pictures_that_are_not_of_the_data_set(tmp_path: Path) -> None:
    for name, size in (("b.png", (30, 30)), ("sub/a.jpg", (40, 20))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / name)
    write(tmp_path, {"b.txt": "a red square", "sub/a.txt": "a red bar", "notes.txt": "mine"})
    data = own_pictures(tmp_path, 16)
    assert data.images.shape == (2, 3, 16, 16) and data.names == ()
    assert data.captions == ("a red square", "a red bar") and data.numbers.tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, "has no captions"),
        ({"b.txt": "x"}, r"has no caption for a\.png"),
        (
            {"metadata.csv": "file_name,text\na.png,x\nb.png,y"},
            r"metadata.csv: file_name: found 'b.png', but there is no",
        ),
        ({"a.txt": "x", "b.heic": ""}, r"b\.heic: \.heic pictures are not read; convert it"),
        ({"a.txt": "x", "b.txt": "x", "b.png": "no picture"}, r"b\.png: not a readable image"),
    ],
)
def test_own_pictures_that_do_not_fit_are_one_line(tmp_path: Path, texts: dict[str, str], said: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=said) as caught:
        own_pictures(write(tmp_path, texts), 16)
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train_gen\.images: .*nowhere does not exist; make it"):
        own_pictures(tmp_path / "nowhere", 16)
    write(tmp_path, {"a.txt": "x"})
    with pytest.raises(UserError, match="no image is in it"):
        own_pictures(tmp_path, 16)
