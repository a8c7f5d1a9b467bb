from pathlib import Path

import pytest

from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import Entry, read_ledger, summarise, write_ledger

ROW = {"std": 8.25, "hash_train": 3, "hash_nearest_train": "12", "label_seen": "7", "new_boxes": "[[1.0, 2.0]]"}


def test_the_ledger_round_trips(tmp_path: Path) -> None:
    """An id that looks like a number stays a string."""
    entries = [
        Entry("b", 'a "quoted", name', ROW, "blank"),
        Entry("a", "cat", ROW | {"std": 9.0}, ignored=((1.0, 2.0, 3.0, 4.0),)),
    ]
    write_ledger(tmp_path, entries)
    first = (tmp_path / "ledger.csv").read_bytes()
    assert read_ledger(tmp_path) == entries[::-1]
    write_ledger(tmp_path, entries[::-1])
    assert (tmp_path / "ledger.csv").read_bytes() == first
    assert summarise(entries, "cls") == "filter: cls: 2 made, 1 kept, rejected: 1 blank"


def test_no_image_is_an_empty_ledger_and_no_ledger_an_error(tmp_path: Path) -> None:
    write_ledger(tmp_path, [])
    assert read_ledger(tmp_path) == []
    with pytest.raises(UserError, match=r"ledger\.csv: not found"):
        read_ledger(tmp_path / "nowhere")
