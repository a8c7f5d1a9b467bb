"""What the report shows for one task: its ledger, and its images."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from diffaug.dataset.records import SPLITS, read_set
from diffaug.evaluation.metrics import ARMS, TASKS
from diffaug.evaluation.tables import CHANGED, TABLES, TRAINING
from diffaug.params.evaluate import RobustnessParams
from diffaug.params.report import ReportParams
from diffaug.report import figures
from diffaug.report.corrupted import corrupted_sheet
from diffaug.report.pairs import changed_sides_tiles, nearest_pairs
from diffaug.report.sheet import COLUMNS, SCENE_COLUMNS, make_sheet, save_png, task_sheet
from diffaug.runtime.tables import read_table
from diffaug.scoring.ledger import QUALITY, THRESHOLDS, Entry, read_ledger

PLOTS = Path("metrics/plots")


@dataclass(frozen=True)
class Seen:
    """How evaluate used the test images: the network's input side in pixels, and the corruptions."""

    side: int
    robustness: RobustnessParams | None
    seed: int


@dataclass(frozen=True)
class TaskReport:
    """The task's classes, its ledger, its sheets by name, the content of quality.json, if it was requested, and the
    thresholds that `filter` took from real images, by score."""

    names: Sequence[str]
    ledger: Sequence[Entry]
    sheets: Mapping[str, Image.Image]
    quality: Mapping[str, Any] | None
    thresholds: Mapping[str, Mapping[str, float]]


def build_task_report(task: str, params: ReportParams, seen: Seen) -> TaskReport:
    """Draw the sheets of the task, also saved in metrics/plots, and read the other data of the page. Raises UserError
    if the sets of the task or its ledger are missing."""
    real = {split: read_set(Path(f"data/real/{task}/{split}")) for split in SPLITS}
    made, folder = read_set(Path(f"data/generated/{task}")).records, Path(f"data/filtered/{task}")
    names, ledger = real["train"].names, read_ledger(folder, made)
    test = list(real["test"])
    sheets = {"sheet": task_sheet(real["train"].records, made, ledger, names, params.sheet_rows, seen.seed)}
    columns = COLUMNS if task == "cls" else SCENE_COLUMNS + 1  # an even number, so that pairs stay together
    everything = {record.id: record for images in real.values() for record in images}
    pairs = nearest_pairs(ledger, {record.id: record for record in made}, everything, columns)
    if pairs:
        sheets["nearest"] = make_sheet(pairs, columns, names)
    if task == "cls":
        right, mistaken = _changed(TABLES / CHANGED)
        sheets["changed"] = make_sheet(
            changed_sides_tiles(test, names, right, mistaken, params.sheet_rows * COLUMNS), COLUMNS
        )
    if seen.robustness is not None:
        sheets["corrupted"] = corrupted_sheet(test, seen.robustness, seen.side, seen.seed)
    for name, sheet in sheets.items():
        save_png(sheet, PLOTS / f"{task}_{name}.png")
    figures.write_curves(TABLES / TRAINING.format(task=task), TASKS[task].val_title, PLOTS / f"{task}_training.png")
    quality = folder / QUALITY
    content = json.loads(quality.read_text(encoding="utf-8")) if quality.exists() else None
    thresholds = json.loads((folder / THRESHOLDS).read_text(encoding="utf-8"))
    return TaskReport(names, ledger, sheets, content, thresholds)


def _changed(table: Path) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
    """By arm, how many models are right on each test image, and the class that most of the others predict."""
    rows = read_table(table)
    right = {arm: [int(row[f"{arm}_right"]) for row in rows] for arm in ARMS}
    return right, {arm: [row[f"{arm}_mistaken_for"] for row in rows] for arm in ARMS}
