"""From scores to a verdict on each image: thresholds, then the best of the remaining images."""

import json
from collections.abc import Sequence
from dataclasses import replace

from diffaug.params.filter import Best, ClsChecks, DetChecks
from diffaug.pictures.boxes import XYWH
from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import Entry
from diffaug.scoring.scores import active, score_module

NOT_BEST = "not among the best"


def judge(entry: Entry, checks: ClsChecks | DetChecks) -> Entry:
    """The first threshold that the image fails is the reason of its rejection."""
    failed = (
        reason
        for name, section in active(checks).items()
        for reason, fails in score_module(name).failures(entry.scores, section)
        if fails
    )
    reason = next(failed, "")
    ignored: tuple[XYWH, ...] = ()
    if not reason and isinstance(checks, DetChecks) and checks.audit and checks.audit.new_objects == "ignore":
        new = json.loads(entry.scores["new_boxes"] or "[]")
        ignored = tuple((x, y, width, height) for x, y, width, height, _ in new)
    return replace(entry, reason=reason, ignored=ignored)


def select_best(entries: Sequence[Entry], best: Best | None, task: str) -> list[Entry]:
    """Of the accepted images the best by a column, `count` per class (or of all scenes); the others are rejected. Among
    equal values the lower id stays.

    Raises UserError if the ledger has no such column of numbers.
    """
    if best is None:
        return list(entries)
    numbers = sorted({name for entry in entries for name, value in entry.scores.items() if not isinstance(value, str)})
    if entries and best.by not in numbers:
        raise UserError(f"params.yaml: filter.{task}.best.by: found {best.by!r}; allowed are {', '.join(numbers)}")
    sign = -1 if best.order == "highest" else 1
    groups: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: (sign * entry.scores[best.by], entry.id)):
        if entry.accepted:
            groups.setdefault(entry.label if task == "cls" else "", []).append(entry)
    beaten = {entry.id for group in groups.values() for entry in group[best.count :]}
    return [replace(entry, reason=NOT_BEST, ignored=()) if entry.id in beaten else entry for entry in entries]
