"""Attacks by a YAML file are one line, in less than a second."""

import time
from pathlib import Path

import pytest

from diffaug.runtime.errors import UserError
from diffaug.runtime.yaml_files import read_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "with its aliases it has more than 200000 values"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[" * 60 + "]" * 60, "line 1 is nested more than 50 levels deep"),
        ("a: &a [*a]", "the value in line 1 contains itself"),
        ("a: 1\n? [1, 2]\n: x", "the key in line 2 is a list or a mapping, but must be a word or a number"),
        ("? {a: 1}\n: x", "the key in line 1 is a list or a mapping"),
        ("a: 1\nb: 2\na: 3", "the key 'a' occurs twice, in lines 1 and 3; remove one"),
        ("a: 1\nb: " + "9" * 5000, "the number in line 2 has 5000 digits"),
        ("a: 1" + ":59" * 100_000, "the number in line 1 has 300001 digits"),
        ("a: !!bool abc", "a value does not fit its tag ('abc')"),
        ("a: !!int ''", "a value does not fit its tag"),
        ("a: !!float ''", "a value does not fit its tag"),
        ("a: !!timestamp foo", "a value does not fit its tag"),
        ("a: !!binary é", "failed to convert base64 data"),
        ("a: 2026-13-45", "month must be in 1..12"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a:\n\t- b", "indent with spaces, not with tabs"),
        ('a: "C:\\models"', "in double quotes a backslash begins an escape: write / in its place"),
        ("a: 'b", "while scanning a quoted scalar"),
        ("a: \x00", "special characters are not allowed"),
    ],
)
def test_a_hostile_file_is_one_line_at_once(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    start = time.process_time()
    with pytest.raises(UserError) as error:
        read_yaml(tmp_path / "p.yaml")
    assert time.process_time() - start < 5  # it was minutes
    assert str(error.value).startswith(f"{tmp_path / 'p.yaml'}: not readable as YAML: ")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"#" * 3_000_000)
    with pytest.raises(UserError, match="has 3000000 bytes, but a YAML file of more than 500000 is not read"):
        read_yaml(tmp_path / "p.yaml")


def test_latin_letters_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(UserError, match="not readable as YAML: 'utf-8' codec can't decode"):
        read_yaml(tmp_path / "p.yaml")


def test_aliases_that_people_use_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: *a\n1: d\n")
    assert read_yaml(tmp_path / "p.yaml") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 1}, "1": "d"}
    (tmp_path / "p.yaml").write_text("")
    assert read_yaml(tmp_path / "p.yaml") is None
