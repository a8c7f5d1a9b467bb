from pathlib import Path

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
