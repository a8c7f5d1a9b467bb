"""From scores to a verdict on each image, and the ledger that keeps both."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import get_type_hints

from diffaug.compose import Box
from diffaug.errors import UserError
from diffaug.files import atomic_path
from diffaug.params.training import ClsChecks, DetChecks

LEDGER = "ledger.csv"
_SLACK = 1.0  # pixels by which a box may leave the image: formats round


@dataclass(frozen=True)
class Scores:
    """What is known of one synthetic image; -1 where a score does not apply to its task.

    distance_*: bits (0 to 64) to the nearest train, val-or-test or earlier synthetic image, whose id stands beside it;
    label_probability: the control classifier's for the intended class, 0 to 1; box_side: the shortest of all, pixels;
    changed: share of pixels that differ from the source's; box_outside: by how many pixels a box leaves the scene at
    most; boxes: how many there are; boxes_judged, box_iou, new_object, new_boxes (JSON): the audit's,
    see `diffaug.scoring.boxes`.
    """

    id: str
    label: str
    std: float
    distance_train: int
    nearest_train: str
    distance_heldout: int
    nearest_heldout: str
    distance_generated: int
    nearest_generated: str
    label_probability: float = -1.0
    changed: float = -1.0
    boxes: int = -1
    box_side: float = -1.0
    box_outside: float = -1.0
    boxes_judged: int = -1
    box_iou: float = -1.0
    new_object: float = -1.0
    new_boxes: str = ""


@dataclass(frozen=True)
class Entry:
    """A ledger row: the scores, why the image was rejected ("" where it was accepted), and which boxes of it (x, y,
    width, height in pixels) are to be painted over, since they may hold objects without a label."""

    scores: Scores
    reason: str
    ignored: tuple[Box, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.reason


def judge(scores: Scores, checks: ClsChecks | DetChecks) -> Entry:
    """The first check that the image fails is its reason."""
    failed = [
        ("blank", scores.std < checks.min_std),
        ("copy of train", scores.distance_train < checks.min_distance_train),
        ("copy of val or test", scores.distance_heldout < checks.min_distance_heldout),
        ("copy of synthetic", scores.distance_generated < checks.min_distance_generated),
    ]
    if isinstance(checks, ClsChecks):
        failed.append(("label doubted", scores.label_probability < checks.min_label_probability))
    else:
        failed += _failed_boxes(scores, checks)
    reason = next((reason for reason, fails in failed if fails), "")
    ignored: tuple[Box, ...] = ()
    if not reason and isinstance(checks, DetChecks) and checks.audit and checks.audit.new_objects == "ignore":
        ignored = tuple((x, y, width, height) for x, y, width, height, _ in json.loads(scores.new_boxes or "[]"))
    return Entry(scores, reason, ignored)


def _failed_boxes(scores: Scores, checks: DetChecks) -> list[tuple[str, bool]]:
    failed = [
        ("nothing new", 0 <= scores.changed < checks.min_changed),
        ("box too small", 0 <= scores.box_side < checks.min_box_side),
        ("box off the image", scores.box_outside > _SLACK),
    ]
    if checks.audit is not None:
        failed.append(("object not found", 0 <= scores.box_iou < checks.audit.min_iou))
        reject = checks.audit.new_objects == "reject"
        failed.append(("new object", reject and scores.new_object >= checks.audit.sure))
    return failed


def write_ledger(folder: Path, entries: Sequence[Entry]) -> None:
    """Write `ledger.csv`: a row for every synthetic image, sorted by id."""
    columns = [field.name for field in fields(Scores)]
    with atomic_path(folder / LEDGER) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow([*columns, "accepted", "reason", "ignored"])
        for entry in sorted(entries, key=lambda entry: entry.scores.id):
            row = asdict(entry.scores)
            cells = [f"{row[name]:.6g}" if isinstance(row[name], float) else row[name] for name in columns]
            ignored = json.dumps(entry.ignored) if entry.ignored else ""
            writer.writerow([*cells, "yes" if entry.accepted else "no", entry.reason, ignored])


def read_ledger(folder: Path) -> list[Entry]:
    """The ledger's rows. Raises UserError where there is none."""
    types = get_type_hints(Scores)
    try:
        with (folder / LEDGER).open(newline="", encoding="utf-8") as handle:
            return [
                Entry(
                    Scores(**{name: kind(row[name]) for name, kind in types.items()}),
                    row["reason"],
                    tuple((x, y, width, height) for x, y, width, height in json.loads(row["ignored"] or "[]")),
                )
                for row in csv.DictReader(handle)
            ]
    except FileNotFoundError:
        raise UserError(f"{folder / LEDGER}: not found; run `dvc repro filter`") from None


def summarise(entries: Sequence[Entry], task: str) -> str:
    """How many were made, kept and rejected for what, in one line."""
    reasons = Counter(entry.reason for entry in entries if entry.reason)
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    kept = len(entries) - sum(reasons.values())
    return f"filter: {task}: {len(entries)} made, {kept} kept" + (f", rejected: {rejected}" if rejected else "")
