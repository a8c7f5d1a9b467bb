"""Score every synthetic image and reject the bad ones: reads data/generated, data/real, the control classifier and the
control detector, writes data/filtered/{cls,det}: ledger.csv, thresholds.json and quality.json.

Alone: python stages/filter.py
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.records import Record
from diffaug.params import Params
from diffaug.params.filter import ClsChecks, DetChecks
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal
from diffaug.scoring.ledger import Entry, quality_note, summarise, write_ledger
from diffaug.scoring.material import Material
from diffaug.scoring.policy import judge, select_best
from diffaug.scoring.scores import measure_all
from diffaug.scoring.thresholds import settle
from diffaug.stage import run_stage


def filter_images(params: Params, work: Path) -> Mapping[str, float]:
    """Write a ledger row for every image of both tasks. Raises UserError if no image of a task is left."""
    count = 0
    checks: dict[str, ClsChecks | DetChecks] = {"cls": params.filter.cls, "det": params.filter.det}
    for task, given in checks.items():
        draws = Material.of_draws(task, params.seeds[0], params.filter.against)
        first, folder = next(iter(draws.values())), Path("data/filtered") / task
        check = settle(given, first, work, folder)
        judged = {draw: _judge_draw(material, check, work / str(draw)) for draw, material in draws.items()}
        entries = [entry for of_draw in judged.values() for entry in of_draw]
        write_ledger(folder, entries)
        _write_quality(folder, first, next(iter(judged.values())), check)
        seal(folder)
        if first.names:  # a task that is null has none
            print(summarise(entries, task))
        for of_draw in judged.values():
            _something_left(of_draw, task)
        count += len(entries)
    return {"images": count}


def _judge_draw(material: Material, check: ClsChecks | DetChecks, work: Path) -> list[Entry]:
    """Every image of the draw with its scores and, if it is rejected, the reason."""
    rows = measure_all(check, material, work)
    scored = [Entry(record.id, _label(record, material.names), row) for record, row in zip(material.generated, rows)]
    return select_best([judge(entry, check) for entry in scored], check.best, material.task)


def _write_quality(folder: Path, material: Material, entries: Sequence[Entry], check: ClsChecks | DetChecks) -> None:
    """The quality of the kept images of one draw, which is what one model is trained on."""
    kept = {entry.id for entry in entries if entry.accepted}
    if check.quality is not None and kept:
        from diffaug.scoring.quality import write_quality

        quality = write_quality(folder, material, kept, check.quality)
        if note := quality_note(quality):
            print(f"filter: {material.task}: note: {note}")


def _label(record: Record, names: tuple[str, ...]) -> str:
    categories = record.category if record.label is None else (record.label,)
    return ", ".join(names[category] for category in categories)


def _something_left(entries: Sequence[Entry], task: str) -> None:
    if entries and not any(entry.accepted for entry in entries):
        raise UserError(
            f"{task}: all {len(entries)} synthetic images were rejected ({summarise(entries, task)}); the ledger in "
            f"data/filtered/{task} has reasons: lower the thresholds of filter.{task}, or improve train_gen or generate"
        )


if __name__ == "__main__":
    run_stage("filter", filter_images)
