"""The ledger: the scores of every synthetic image, and whether and why it was rejected."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffaug.dataset.records import Record
from diffaug.pictures.boxes import XYWH
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import check_seal
from diffaug.runtime.tables import read_table, write_table

LEDGER, QUALITY, THRESHOLDS = "ledger.csv", "quality.json", "thresholds.json"
_OWN = ("id", "label", "accepted", "reason", "ignored")
_ACCEPTED = {True: "yes", False: "no"}
_ENOUGH = 50  # images
_UNLIKE = 0.1  # share of the precision of real val images, below which images look like nothing real


@dataclass(frozen=True)
class Entry:
    """A row of the ledger: the image, its class (or those of its boxes), the scores by column, the reason of its
    rejection ("" if accepted), and the boxes (x, y, width, height in pixels) to paint over, since they may hold objects
    without a label."""

    id: str
    label: str
    scores: Mapping[str, Any]
    reason: str = ""
    ignored: tuple[XYWH, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.reason


def write_ledger(folder: Path, entries: Sequence[Entry]) -> None:
    """Write `ledger.csv`: one row per synthetic image, sorted by id."""
    columns = list(entries[0].scores) if entries else []
    rows = [
        [
            *(entry.id, entry.label, *entry.scores.values(), _ACCEPTED[entry.accepted], entry.reason),
            json.dumps(entry.ignored) if entry.ignored else "",
        ]
        for entry in sorted(entries, key=lambda entry: entry.id)
    ]
    write_table(folder / LEDGER, ["id", "label", *columns, "accepted", "reason", "ignored"], rows)


def read_ledger(folder: Path, generated: Iterable[Record]) -> list[Entry]:
    """The rows of the ledger of these generated images. Raises UserError if there is none, if it is not as `filter`
    wrote it, or if it is the ledger of other images."""
    file = folder / LEDGER
    if not file.exists():
        raise UserError(f"{file}: not found; run `dvc repro filter`")
    check_seal(folder)
    entries = []
    for line, row in enumerate(read_table(file), 2):
        try:
            entries.append(_entry(row))
        except (KeyError, TypeError, ValueError) as error:
            reason = f"no column {error}" if isinstance(error, KeyError) else error
            raise UserError(f"{file}: line {line}: {reason}; run `dvc repro filter`") from None
    ids, made = Counter(entry.id for entry in entries), Counter(record.id for record in generated)
    if odd := sorted((ids - made) + (made - ids)):
        where = "has a row for" if ids[odd[0]] > made[odd[0]] else "has no row for"
        raise UserError(
            f"{file}: {where} {odd[0]}, unlike data/generated/{folder.name} ({len(odd)} such images); run `dvc repro "
            "filter`"
        )
    return entries


def _entry(row: Mapping[str, str]) -> Entry:
    """Raises KeyError, TypeError or ValueError if it is not a row of a ledger."""
    own = {name: row[name] for name in _OWN}
    scores = {name: _value(name, text) for name, text in row.items() if name not in own}
    ignored = tuple((x, y, width, height) for x, y, width, height in json.loads(own["ignored"] or "[]"))
    entry = Entry(own["id"], own["label"], scores, own["reason"], ignored)
    if own["accepted"] != _ACCEPTED[entry.accepted]:
        raise ValueError(f"accepted is {own['accepted']!r}, but the reason of rejection is {entry.reason!r}")
    return entry


def _value(column: str, text: str) -> float | str:
    return text if "_nearest_" in column or column in ("label_seen", "new_boxes") else float(text)


def quality_note(quality: Mapping[str, Any]) -> str | None:
    """A sentence on kept images that look like nothing real, by the content of quality.json; None if they do not, or if
    there are too few of them to say."""
    made, real = (quality[name]["all"] for name in ("synthetic", "real_val"))
    shares = [one.get("precision") for one in (made, real)]
    if made["images"] < _ENOUGH or None in shares or shares[0] >= _UNLIKE * shares[1]:
        return None
    return (
        f"few of the kept images lie among the real ones ({100 * shares[0]:.0f} %; of real val images "
        f"{100 * shares[1]:.0f} %): look at them in the report before you believe the result"
    )


def summarise(entries: Sequence[Entry], task: str) -> str:
    """How many were made, kept, and rejected by reason, in one line."""
    reasons = Counter(entry.reason for entry in entries if entry.reason)
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    kept = len(entries) - sum(reasons.values())
    return f"filter: {task}: {len(entries)} made, {kept} kept" + (f", rejected: {rejected}" if rejected else "")
