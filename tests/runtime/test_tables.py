from pathlib import Path

import pytest

from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import read_table, write_table


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new/table.csv"
    write_table(path, ["name", "value"], [['a, "b"', 0.12345678], ["猫\n狗", 3], ["", float("nan")]])
    assert path.read_bytes().count(b"\r") == 0
    assert read_table(path) == [
        {"name": 'a, "b"', "value": "0.123457"},
        {"name": "猫\n狗", "value": "3"},
        {"name": "", "value": "nan"},
    ]


def test_no_cell_is_a_formula_for_a_spreadsheet(tmp_path: Path) -> None:
    names = ["=1+1", "@x", "+1", "-1", "'quoted", " =1", "\uff1d1", "a=b"]
    write_table(tmp_path / "table.csv", ["name", "value"], [[name, -1.5] for name in names])
    lines = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
    cells = ("'=1+1", "'@x", "'+1", "'-1", "''quoted", "' =1", "'\uff1d1", "a=b")
    assert lines[1:] == [f"{cell},-1.5" for cell in cells]
    assert [row["name"] for row in read_table(tmp_path / "table.csv")] == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1\n", "line 2 has not the 2 cells"),
        (b"a,b\n1,2,3\n", "the 2 cells"),
        (b"a\n\xff\n", "not a table"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_table(tmp_path / "table.csv")
