from pathlib import Path

import pytest

from diffaug.dataset.records import Record, make_record
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal
from diffaug.scoring.ledger import Entry, quality_note, read_ledger, summarise, write_ledger

ROW = {"std": 8.25, "hash_train": 3, "hash_nearest_train": "12", "label_seen": "7", "new_boxes": "[[1.0, 2.0]]"}


def made(id: str) -> Record:
    return make_record(id, b"", "train", label=0, origin="synthetic")


def test_the_ledger_round_trips(tmp_path: Path) -> None:
    """An id that looks like a number stays a string."""
    entries = [
        Entry("b", 'a "quoted", name', ROW, "blank"),
        Entry("a", "cat", ROW | {"std": 9.0}, ignored=((1.0, 2.0, 3.0, 4.0),)),
    ]
    write_ledger(tmp_path, entries)
    seal(tmp_path)
    first = (tmp_path / "ledger.csv").read_bytes()
    assert read_ledger(tmp_path, [made("b"), made("a")]) == entries[::-1]
    write_ledger(tmp_path, entries[::-1])
    assert (tmp_path / "ledger.csv").read_bytes() == first
    assert summarise(entries, "cls") == "filter: cls: 2 made, 1 kept, rejected: 1 blank"


@pytest.mark.parametrize(
    ("precision", "images", "said"), [(0.08, 50, True), (0.081, 50, False), (0.08, 49, False), (None, 50, False)]
)
def test_kept_images_that_look_like_nothing_real_are_said(precision: float | None, images: int, said: bool) -> None:
    """Noise passes where no threshold is set, and the control cannot judge."""
    made = {"images": images, "precision": precision}
    note = quality_note({"synthetic": {"all": made}, "real_val": {"all": {"precision": 0.805}}})
    assert (note is not None) == said
    assert note is None or "few of the kept images lie among the real ones (8 %; of real val images 80 %)" in note


def test_no_image_is_an_empty_ledger_and_no_ledger_an_error(tmp_path: Path) -> None:
    write_ledger(tmp_path, [])
    seal(tmp_path)
    assert read_ledger(tmp_path, []) == []
    with pytest.raises(UserError, match=r"ledger\.csv: not found"):
        read_ledger(tmp_path / "nowhere", [])


def edited(folder: Path, old: str, new: str, again: bool) -> None:
    """A ledger of one accepted and one rejected image, edited; `again`: sealed afterwards."""
    write_ledger(folder, [Entry("a", "cat", {"std": 8.25}), Entry("b", "cat", {"std": 0.5}, "blank")])
    seal(folder)
    text = (folder / "ledger.csv").read_text(encoding="utf-8")
    assert old in text
    (folder / "ledger.csv").write_text(text.replace(old, new), encoding="utf-8")
    if again:
        seal(folder)


def test_a_ledger_edited_by_hand_says_so(tmp_path: Path) -> None:
    edited(tmp_path, "b,cat,0.5,no,blank", "b,cat,0.5,yes,", again=False)
    with pytest.raises(UserError, match=r"ledger\.csv is not as it was written \(its sha256 differs\): it was edited"):
        read_ledger(tmp_path, [made("a"), made("b")])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "b,cat,0.5,no,blank",
            "b,cat,0.5,yes,blank",
            "line 3: accepted is 'yes', but the reason of rejection is 'blank'",
        ),
        ("a,cat,8.25,yes", "a,cat,8.2x,yes", "line 2: could not convert string to float: '8.2x'"),
        ("a,cat,8.25", "c,cat,8.25", r"has no row for a, unlike data/generated/.* \(2 such images\)"),
        ("b,cat,0.5,no,blank,\n", "", "has no row for b"),
        ("a,cat", "b,cat", "has no row for a"),
        ("reason", "raeson", "line 2: no column 'reason'"),
        ("8.25,yes,,", "8.25,yes,,[1]", "line 2: "),
    ],
)
def test_a_ledger_that_is_not_of_these_images_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    edited(tmp_path, old, new, again=True)
    with pytest.raises(UserError, match=f"ledger.csv: {message}"):
        read_ledger(tmp_path, [made("a"), made("b")])
