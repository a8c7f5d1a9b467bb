"""Captions of one's own: text files beside pictures, and tables."""

import json
from pathlib import Path

import pytest

from diffaug.generator_training.captions import Captions
from diffaug.runtime.errors import UserError


def test_a_text_file_beside_each_picture(tmp_path: Path) -> None:
    """As kohya's scripts read them; each line is a caption."""
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/a.txt").write_text("\ufeffa cat, sitting\n\n  a cat on a sofa \n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("一只狗", encoding="utf-8")
    captions = Captions(tmp_path)
    assert captions.of("cat/a.jpg") == captions.of("cat/a") == ("a cat, sitting", "a cat on a sofa")
    assert captions.of("b.webp") == ("一只狗",)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
@pytest.mark.parametrize("whole", [True, False])
def test_one_table_for_all(tmp_path: Path, name: str, whole: bool) -> None:
    """As the hub and DiffSynth-Studio have it, with further columns; several rows are several captions."""
    rows = [("a.png", "a cat"), ("./sub/b.jpg", 'a dog, "Rex"'), ("a.png", "a cat again")]
    if name.endswith("csv"):
        lines = ["file_name,width,text", *(f'{file},512,"{text}"'.replace('"Rex"', '""Rex""') for file, text in rows)]
    else:
        lines = [json.dumps({"file_name": file, "text": text, "width": 512}) for file, text in rows]
    (tmp_path / name).write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    captions = Captions(tmp_path / name if whole else tmp_path)
    assert captions.of("a.png") == ("a cat", "a cat again")
    assert captions.of("sub/b.jpg") == ('a dog, "Rex"',)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no captions; write NAME.txt for each NAME.png, or a metadata.csv or a metadata.jsonl"),
        ({"a.txt": " \n"}, "a.txt: the caption is empty; write it"),
        ({"a.txt": "a\u202ecat"}, r"a.txt: the caption has the character \\u202e; remove it"),
        ({"metadata.csv": "file_name,text\na.png,\n"}, "metadata.csv, line 2: the caption is empty"),
        ({"metadata.csv": "file_name,text\na.png\n"}, "metadata.csv, line 2: text: found 'None'; both file_name and"),
        ({"metadata.csv": "image,prompt\na.png,x\n"}, "metadata.csv: its columns are image, prompt; name them file_n"),
        ({"metadata.csv": ""}, "metadata.csv: its columns are none; name them"),
        ({"metadata.jsonl": '{"file_name": "a.png", "text": 3}'}, "metadata.jsonl, line 1: text: found '3'; both"),
        ({"metadata.jsonl": "[1]"}, "metadata.jsonl, line 1: not a JSON object such as"),
        ({"metadata.jsonl": "{"}, "metadata.jsonl, line 1: not a JSON object such as"),
        ({"metadata.csv": "a", "metadata.jsonl": "a"}, "has metadata.csv and metadata.jsonl; keep one of them"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        Captions(tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_text_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"a\.txt: not a text file in UTF-8"):
        Captions(tmp_path)
    with pytest.raises(UserError, match="nowhere: does not exist; make a folder of captions, or a table"):
        Captions(tmp_path / "nowhere")


def test_a_missing_caption_and_an_unknown_picture_are_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\na.png,a cat\n", encoding="utf-8")
    captions = Captions(tmp_path)
    with pytest.raises(UserError, match=r"has no caption for b\.png; add one, or take the picture away"):
        captions.of("b.png")
    captions.refuse_others(["a.png", "b.png"])
    with pytest.raises(UserError, match=r"metadata\.csv: file_name: found 'a\.png', but there is no such picture"):
        captions.refuse_others(["b.png"])
