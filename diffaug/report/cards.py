"""Model and dataset cards in the hub's format, from the same numbers as the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData, EvalResult, ModelCardData

from diffaug.evaluation.metrics import METRICS, TASKS
from diffaug.evaluation.tables import SEEDS, TABLES
from diffaug.evaluation.verdicts import added
from diffaug.report.verdict import (
    TESTED,
    corrupted_note,
    floor_note,
    scope,
    seeds,
    sentence,
    verdict_header,
    verdict_rows,
)
from diffaug.runtime.files import atomic_path
from diffaug.runtime.tables import read_table

_MARKS = r"\`*_[]<>#|~&$"  # of Markdown, and of HTML and formulas inside it


def write_cards(
    folder: Path,
    task: str,
    details: dict[str, Any],
    source: str,
    names: Sequence[str],
    generators: Sequence[str],
) -> None:
    """Write `model-TASK.md` and `dataset-TASK.md`. They can be the README.md next to the task's merged model (of the
    first seed) or images.

    source: of the real images; generators: the models that drew images, with their licences.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "model": _model_card(task, details, source, names),
        "dataset": _dataset_card(task, details, source, names, generators),
    }
    for kind, text in texts.items():
        with atomic_path(folder / f"{kind}-{task}.md") as temporary:
            temporary.write_text(text, encoding="utf-8")


def _own(task: str) -> dict[str, str]:
    """The row of the card's model: merged, of the first seed."""
    return next(row for row in read_table(TABLES / SEEDS.format(task=task)) if row["arm"] == "merged")


def _model_card(task: str, details: dict[str, Any], source: str, names: Sequence[str]) -> str:
    own = _own(task)
    results = [
        EvalResult(
            task_type=TASKS[task].hub,
            dataset_type=source,
            dataset_name=source,
            dataset_split="test",
            metric_type=metric.name,
            metric_name=metric.name,
            metric_value=round(float(own[metric.name]), 4),
        )
        for metric in METRICS
        if metric.title and metric.task == task and metric.name in own
    ]
    data = ModelCardData(
        model_name=f"diffaug-{task}",
        library_name=TASKS[task].library,
        pipeline_tag=TASKS[task].hub,
        tags=["diffaug", "synthetic-data"],
        eval_results=results,
    )
    rows = [row for (kind, _), row in verdict_rows(details).items() if kind == task]
    return _text(
        data,
        f"A model trained by diffaug on real images ({source}) and {_added(task, details)}.",
        f"Classes: {', '.join(map(_plain, names))}.",
        f"Input: {_plain(details['input'][task])} Without these steps, the same as in training, the model is much less "
        "accurate. `model.json` has them as data.",
        f"The numbers in the head of this card are those of this one model (seed {own['seed']}); those below are means "
        "over all seeds.",
        "## Did they help?",
        sentence(task, details),
        f"{details['test_images'][task]} real test images, {seeds(details)} per arm, points of 100; real: the "
        f"same model without them. {scope(details)} {TESTED}",
        _markdown([verdict_header(details), *rows]),
        *floor_note(details, [task]),
        *corrupted_note(details, [task]),
        *_notes(details),
        "## Limits",
        "The numbers are valid for test images like those, from the same source. No licence is stated here: see those "
        "of the real images, of the generator, and of the training library.",
    )


def _dataset_card(
    task: str, details: dict[str, Any], source: str, names: Sequence[str], generators: Sequence[str]
) -> str:
    data = DatasetCardData(
        task_categories=[TASKS[task].hub],
        tags=["diffaug", "synthetic"],
        pretty_name=f"{source}, with {_added(task, details)}",
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"{split}/*.parquet"} for split in ("train", "val")],
            }
        ],
    )
    return _text(
        data,
        f"Real images ({source}) and {_added(task, details)}, merged by diffaug: `data/merged/{_own(task)['seed']}/"
        f"{task}`, the set of the first training seed. There is no test split: test images are real, and are stored "
        "with the real images.",
        f"Classes: {', '.join(map(_plain, names))}.",
        "## Which rows are synthetic",
        "`origin` is real or synthetic. A synthetic row names the photograph it was made from (`source_id`), its mode, "
        "prompt, seed, all settings, and the model with revision and licence. Synthetic rows are only in train.",
        f"Models that drew images: {'; '.join(map(_plain, generators)) or 'none'}.",
        *_notes(details),
    )


def _added(task: str, details: dict[str, Any]) -> str:
    recipe = details["recipe"][task]
    return f"{added(details, task)} {'synthetic ones' if recipe == 'synthetic' else f'others ({recipe})'}"


def _notes(details: dict[str, Any]) -> list[str]:
    return [f"Note: {_plain(note)}." for note in details.get("notes", [])]


def _plain(text: str) -> str:
    """The text with its marks as letters: a class named <b> or [x](y) is no markup."""
    return "".join(f"\\{letter}" if letter in _MARKS else letter for letter in text)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def _text(data: ModelCardData | DatasetCardData, *paragraphs: str) -> str:
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(paragraphs) + "\n"
