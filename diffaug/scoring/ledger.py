"""The ledger: the scores of every synthetic image, and whether and why it was rejected."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffaug.pictures.boxes import XYWH
from diffaug.runtime.errors import UserError
from diffaug.runtime.tables import read_table, write_table

LEDGER, QUALITY = "ledger.csv", "quality.json"
_OWN = ("id", "label", "accepted", "reason", "ignored")


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
            *(entry.id, entry.label, *entry.scores.values(), "yes" if entry.accepted else "no", entry.reason),
            json.dumps(entry.ignored) if entry.ignored else "",
        ]
        for entry in sorted(entries, key=lambda entry: entry.id)
    ]
    write_table(folder / LEDGER, ["id", "label", *columns, "accepted", "reason", "ignored"], rows)


def read_ledger(folder: Path) -> list[Entry]:
    """The rows of the ledger. Raises UserError if there is none."""
    try:
        return [_entry(row) for row in read_table(folder / LEDGER)]
    except FileNotFoundError:
        raise UserError(f"{folder / LEDGER}: not found; run `dvc repro filter`") from None


def _entry(row: Mapping[str, str]) -> Entry:
    scores = {name: _value(name, text) for name, text in row.items() if name not in _OWN}
    ignored = tuple((x, y, width, height) for x, y, width, height in json.loads(row["ignored"] or "[]"))
    return Entry(row["id"], row["label"], scores, row["reason"], ignored)


def _value(column: str, text: str) -> float | str:
    return text if "_nearest_" in column or column in ("label_seen", "new_boxes") else float(text)


def summarise(entries: Sequence[Entry], task: str) -> str:
    """How many were made, kept, and rejected by reason, in one line."""
    reasons = Counter(entry.reason for entry in entries if entry.reason)
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    kept = len(entries) - sum(reasons.values())
    return f"filter: {task}: {len(entries)} made, {kept} kept" + (f", rejected: {rejected}" if rejected else "")
