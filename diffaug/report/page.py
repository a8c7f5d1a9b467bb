"""metrics/report.html: all results on one page, readable offline and on a phone."""

import base64
import io
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from diffaug.evaluation.metrics import ALL, ARMS, CLEAN, TASKS, find_metric
from diffaug.evaluation.tables import (
    CONFUSION,
    DET_MATCHED,
    RELIABILITY,
    ROBUSTNESS,
    TABLES,
    TRAINING,
    last_rise,
    with_background,
)
from diffaug.evaluation.verdicts import primary
from diffaug.params.merge import DRAWN
from diffaug.report import figures
from diffaug.report.generator import GeneratorReport
from diffaug.report.glossary import GLOSSARY
from diffaug.report.task import TaskReport
from diffaug.report.verdict import TESTED, floor_note, scope, sentence, verdict_header, verdict_rows
from diffaug.runtime.files import atomic_path
from diffaug.runtime.yaml_files import parse_yaml
from diffaug.scoring.ledger import Entry, quality_note

PAGE = Path("metrics/report.html")
_LIBRARIES = ("torch", "torchvision", "diffusers", "transformers", "ultralytics-opencv-headless", "dvc", "torchmetrics")
_RISING = 0.5  # points: a smaller rise is noise
_MATRICES = {
    "cls": "Predicted and actual classes, over all seeds",
    "det": f"Predicted and actual classes, over all seeds; background is no object ({DET_MATCHED})",
}
_CAPTIONS = {
    "corrupted": "The corruptions on one test image",
    "sheet": "Real images, kept synthetic images, and rejected ones with the reason",
    "nearest": "The nearest pairs, to check for copies. A scene's own photograph is left out",
    "changed": "Test images on which the arms differ: how many seeds' models are right, and what the others predict",
}


def write_page(
    path: Path,
    details: dict[str, Any],
    tasks: Mapping[str, TaskReport],
    generators: Sequence[str],
    params: str,
    generator: GeneratorReport,
) -> None:
    """Write the page: one file that loads nothing from the network. params: the text of params.yaml. It has no times,
    which differ from run to run: `diffaug verdict --times` shows them."""
    rows = verdict_rows(details)
    intervals = [
        (row[0], *(100 * details["delta"][task][name][key] for key in ("low", "mean", "high")), row[-1])
        for (task, name), row in rows.items()
    ]
    environment = Environment(loader=PackageLoader("diffaug", "report"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("page.html").render(
        question="Did the synthetic images help?"
        if set(details["recipe"].values()) == {"synthetic"}
        else f"Did it help? Recipe: {', '.join(sorted(set(details['recipe'].values())))}",
        sentences=[
            {"text": sentence(task, details), "verdict": rows[task, primary(details, task).name][-1]} for task in tasks
        ],
        notes=details.get("notes", []),
        scope=scope(details),
        tested=TESTED,
        floor=floor_note(details, list(tasks)),
        glossary=GLOSSARY,
        table=[_verdict_first(row) for row in (verdict_header(details), *rows.values())],
        intervals=figures.intervals(intervals),
        tasks=[_task(task, report, details) for task, report in tasks.items()],
        generators=list(generators) or ["none"],
        versions=", ".join(
            [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _LIBRARIES)]
        ),
        params=params,
        settings=_settings(parse_yaml(params), ""),
        seen=generator.seen,
        losses=generator.losses,
        reverse=_encoded(generator.reverse) if generator.reverse else None,
        samples=_encoded(generator.samples) if generator.samples else None,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _settings(content: Any, where: str) -> list[tuple[str, str]]:
    """Every parameter by its whole name, and its value as it stands in params.yaml."""
    if isinstance(content, dict) and content:
        return [pair for key, value in content.items() for pair in _settings(value, f"{where}.{key}".strip("."))]
    if isinstance(content, float):
        return [(where, format(Decimal(repr(content)), "f"))]  # YAML would read 1e-06 as text
    return [(where, json.dumps(content, ensure_ascii=False))]


def _verdict_first(row: Sequence[str]) -> list[str]:
    """The verdict and the difference come first, since a phone's screen shows only the start of a row."""
    title, real, merged, difference, interval, visible, p, said = row
    return [title, said, difference, interval, real, merged, visible, p]


def _task(task: str, report: TaskReport, details: dict[str, Any]) -> dict[str, Any]:
    shown = [
        (
            figures.funnel(report.ledger, _used(details, task)),
            f"Synthetic images: {_funnel(details, task)}{_blind(report.ledger)}",
        ),
        (
            figures.curves(TABLES / TRAINING.format(task=task), TASKS[task].val_title),
            _training(TABLES / TRAINING.format(task=task)),
        ),
        (
            figures.per_class(TABLES / TASKS[task].per_class),
            "Each class, mean over the seeds; differences of single classes have no interval here",
        ),
    ]
    if task == "cls":
        shown.append((figures.reliability(TABLES / RELIABILITY), _confidence(details)))
    tables = {arm: TABLES / CONFUSION.format(task=task, arm=arm) for arm in ARMS}
    names = with_background(report.names) if task == "det" else report.names
    shown.append((figures.confusion(tables, names), _MATRICES[task]))
    return {
        "id": task,
        "title": TASKS[task].title,
        "figures": [{"svg": svg, "caption": caption, "whole": caption == _MATRICES[task]} for svg, caption in shown],
        "pictures": [
            {"data": _encoded(sheet), "caption": _CAPTIONS[name] + (_bounds(report) if name == "nearest" else "")}
            for name, sheet in report.sheets.items()
        ],
        "quality": _quality(report.quality, details["draws"] == "own"),
        "robustness": _robustness(task, details, len(report.names)),
    }


def _training(table: Path) -> str:
    """The caption of the curves, which says whether val is higher at the end: more steps might change the result."""
    rises = [f"{arm} {100 * rise:+.1f}" for arm, rise in last_rise(table).items() if 100 * rise > _RISING]
    if not rises:
        return "Training, mean over the seeds"
    return (
        "Training, mean over the seeds; in the last fifth of the steps val is higher than in the fifth before "
        f"({', '.join(rises)} points), so more steps may change the result"
    )


def _used(details: dict[str, Any], task: str) -> int | None:
    """How many of the images that were made are in a training set; None if the recipe uses none of them."""
    if details["recipe"][task] not in DRAWN:
        return None
    return sum(details["added"][task]) if details["draws"] == "own" else max(details["added"][task])


def _funnel(details: dict[str, Any], task: str) -> str:
    if _used(details, task) is None:
        return "made, rejected (by reason), kept; the recipe uses none"
    seeds = " for all seeds together" if details["draws"] == "own" else ""
    return f"made{seeds}, rejected (by reason), kept, and used, that is, added to the real ones by merge"


def _blind(ledger: Sequence[Entry]) -> str:
    """What the audit could not judge, as the end of a sentence."""
    audited = [entry.scores for entry in ledger if "boxes_judged" in entry.scores]
    if not audited:
        return ""
    judged, boxes = (sum(int(one[name]) for one in audited) for name in ("boxes_judged", "boxes"))
    return f"; the audit could judge {judged} of {boxes} boxes, the others were accepted unchecked"


def _bounds(report: TaskReport) -> str:
    """From which distance to val and test images `filter` rejected, as the end of a caption."""
    found = [f"{name} {one['min_heldout']:.3g}" for name, one in report.thresholds.items() if "min_heldout" in one]
    return f". Rejected if nearer to val or test (auto, by real train images): {', '.join(found)}" if found else ""


def _confidence(details: dict[str, Any]) -> str:
    means = [
        f"{arm} {100 * values['mean_confidence']:.1f} % sure and {100 * values['accuracy']:.1f} % right"
        for arm, values in (("real", details["real"]["cls"]), ("merged", details["cls"]))
    ]
    question = (
        "Is its confidence reliable? On the line, it is right as often as its confidence says; large dots: many images"
    )
    return f"{question}. {', '.join(means)}"


def _robustness(task: str, details: dict[str, Any], classes: int) -> dict[str, Any] | None:
    found = details["robustness"].get(task)
    if found is None:
        return None
    corruptions = found["corruptions"]
    names = list(corruptions[ALL]["delta"])
    short = [find_metric(task, name).short for name in names]
    return {
        "svg": figures.robustness(TABLES / ROBUSTNESS.format(task=task), names[0], CLEAN),
        "metric": short[0],
        "floor": f"{100 / classes:.1f}, which is chance" if task == "cls" else "0",
        "images": found["images"],
        "header": [
            "corruption",
            *(f"{name} {what}" for name in short for what in ("real", "merged", "difference")),
        ],
        "rows": [[name, *_corruption(one, names)] for name, one in corruptions.items()],
    }


def _corruption(found: dict[str, Any], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        delta = found["delta"][name]
        yield from (f"{100 * found[arm][name]:.1f}" for arm in ARMS)
        yield f"{100 * delta['mean']:+.1f} ({100 * delta['low']:+.1f} to {100 * delta['high']:+.1f})"


def _encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=6)
    return base64.b64encode(buffer.getvalue()).decode()


def _quality(content: Mapping[str, Any] | None, one_draw: bool) -> dict[str, Any] | None:
    if content is None:
        return None
    sets = {"synthetic": "kept synthetic", "real_val": "real val"}
    columns = list(content["synthetic"]["all"])
    rows = [[title, *(_cell(content[key]["all"].get(column)) for column in columns)] for key, title in sets.items()]
    network = json.dumps(content["network"]).strip('"')
    note = quality_note(content)
    return {"network": network, "columns": columns, "rows": rows, "one_draw": one_draw, "note": note}


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
