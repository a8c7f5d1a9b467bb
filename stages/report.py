"""Make the verdict readable: reads metrics/details.json, metrics/tables, the losses of the generator and the hashes of
its training images and, only for their images, the image sets; writes metrics/report.html, metrics/plots and
metrics/cards. It measures nothing.

Alone: python stages/report.py
"""

from collections.abc import Mapping
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.provenance import models_of
from diffaug.dataset.records import read_set
from diffaug.evaluation.tables import TABLES
from diffaug.params import Params
from diffaug.report.cards import write_cards
from diffaug.report.generator import Origin, build_generator_report
from diffaug.report.page import PAGE, write_page
from diffaug.report.task import PLOTS, Seen, build_task_report
from diffaug.report.verdict import read_details
from diffaug.runtime.seals import check_seal, seal
from diffaug.stage import run_stage

CARDS = Path("metrics/cards")


def report(params: Params, work: Path) -> Mapping[str, float]:
    """Make the sheets of both tasks, then the page and the cards."""
    details = read_details()
    check_seal(TABLES)
    PLOTS.mkdir(parents=True, exist_ok=True)
    for stale in PLOTS.iterdir():
        stale.unlink()
    sizes = {"cls": params.train_cls.image_size, "det": params.train_det.image_size}
    reports = {
        task: build_task_report(
            task, params.report, Seen(sizes[task], params.evaluate.robustness, params.evaluate.seed)
        )
        for task in details["test_images"]
    }
    generators = _generators(list(reports))
    for task, one in reports.items():
        write_cards(CARDS, task, details, getattr(params.download, task).source, one.names, generators)
    used = params.generate.draws(params.download.cls is not None, params.download.det is not None)
    origin = Origin(params.train_gen, params.generate.model, params.download.unseen_by, used)
    generator = build_generator_report(params.report, params.evaluate.seed, origin)
    for folder in (PLOTS, CARDS):
        seal(folder)
    write_page(PAGE, details, reports, generators, Path("params.yaml").read_text(encoding="utf-8"), generator)
    return {"pictures": sum(len(one.sheets) for one in reports.values())}


def _generators(tasks: list[str]) -> list[str]:
    """All models that drew images, with their licences."""
    records = [record for task in tasks for record in read_set(Path(f"data/generated/{task}"))]
    models = {model for record in records for model in models_of(record.model, record.licence, record.settings)}
    return [f"{name} (licence: {licence or 'not stated'})" for name, licence in sorted(models, key=str)]


if __name__ == "__main__":
    run_stage("report", report)
