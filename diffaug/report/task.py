"""What the report shows of one task: its ledger, and its pictures."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from diffaug.dataset.records import read_set
from diffaug.evaluation.comparison import ARMS
from diffaug.params.evaluate import EvaluateParams
from diffaug.report.pairs import changed_sides_tiles, nearest_pairs
from diffaug.report.sheet import COLUMNS, SCENE_COLUMNS, draw_sheet, save_png, task_sheet
from diffaug.scoring.ledger import Entry, read_ledger

CHANGED = "cls_changed_images.csv"
RELIABILITY = "cls_reliability.csv"
ROBUSTNESS, CORRUPTED, SEEDS = "robustness.csv", "corrupted.png", "seeds.csv"  # after the task and _
_QUALITY = "quality.json"


@dataclass(frozen=True)
class TaskReport:
    """The task's classes, its ledger, its sheets by what they show, and quality.json's content, if it was asked for."""

    names: Sequence[str]
    ledger: Sequence[Entry]
    sheets: Mapping[str, Image.Image]
    quality: Mapping[str, Any] | None


def build_task_report(task: str, params: EvaluateParams, plots: Path) -> TaskReport:
    """Draw the task's sheets, which also go to `plots`, and read what else the page shows. Raises UserError where the
    task's sets or its ledger are missing."""
    real = {split: read_set(Path(f"data/real/{task}/{split}")) for split in ("train", "val", "test")}
    generated, folder = read_set(Path(f"data/generated/{task}")), Path(f"data/filtered/{task}")
    names, ledger = real["train"].names, read_ledger(folder)
    train, made = real["train"].records, generated.records
    sheets = {"sheet": task_sheet(train, made, ledger, names, params.sheet_rows, params.seed)}
    columns = COLUMNS if task == "cls" else SCENE_COLUMNS + 1  # an even number, so that pairs stay together
    everything = {record.id: record for images in real.values() for record in images}
    pairs = nearest_pairs(ledger, {record.id: record for record in made}, everything, columns)
    if pairs:
        sheets["nearest"] = draw_sheet(pairs, columns, names)
    if task == "cls":
        right, seen = _changed(plots / CHANGED)
        changed = changed_sides_tiles(real["test"].records, names, right, seen, params.sheet_rows * COLUMNS)
        sheets["changed"] = draw_sheet(changed)
    for name, sheet in sheets.items():
        save_png(sheet, plots / f"{task}_{name}.png")
    corrupted = plots / f"{task}_{CORRUPTED}"
    if corrupted.exists():
        sheets["corrupted"] = Image.open(corrupted)
    quality = folder / _QUALITY
    content = json.loads(quality.read_text(encoding="utf-8")) if quality.exists() else None
    return TaskReport(names, ledger, sheets, content)


def _changed(table: Path) -> tuple[dict[str, list[int]], dict[str, list[str]]]:
    """By arm, how many models are right on each test image, and what most of them see."""
    with table.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    right = {arm: [int(row[f"{arm}_right"]) for row in rows] for arm in ARMS}
    return right, {arm: [row[f"{arm}_seen"] for row in rows] for arm in ARMS}
