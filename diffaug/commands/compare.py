"""`diffaug compare`: the verdict on two sides' predictions, of any trainer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from diffaug.comparing.classification import cls_lines, measure_classifier, read_true_classes
from diffaug.comparing.coco import Truth, read_results, read_truth
from diffaug.comparing.detection import confusion_of, det_lines, det_notes, measure_detections
from diffaug.comparing.files import Sides, find_sides
from diffaug.comparing.lines import FEWEST, Compared, compare_lines
from diffaug.comparing.probabilities import read_names
from diffaug.comparing.result import Confusion, Result, result_table, write_result
from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import image_weights
from diffaug.evaluation.tables import DET_MATCHED, with_background
from diffaug.runtime.errors import UserError

_FEWEST_RESAMPLES, _MOST_RESAMPLES = 100, 100_000


@dataclass(frozen=True)
class Options:
    """The files beside the predictions, and how the interval is made."""

    truth: Path | None = None
    names: Path | None = None
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0


def compare(a: str, b: str, options: Options, out: Path | None = None) -> str:
    """Compare the predictions A and B, write the result into the folder `out`, and give it as a text.

    Raises UserError if an option or a file is wrong.
    """
    _check(options)
    if out and out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; name a folder")
    task, sides = find_sides(a, b)
    result = {"det": _compare_detectors, "cls": _compare_classifiers}[task](sides, options)
    if out:
        write_result(result, out)
    return result_table(result) + (f"\n{out}: table, intervals and all numbers" if out else "")


def _check(options: Options) -> None:
    if not 0.5 <= options.confidence < 1:
        raise UserError(f"--confidence {options.confidence:g}: must be 0.5 or more and below 1, such as 0.95")
    if not _FEWEST_RESAMPLES <= options.resamples <= _MOST_RESAMPLES:
        raise UserError(
            f"--resamples {options.resamples}: must be {_FEWEST_RESAMPLES} to {_MOST_RESAMPLES}, such as 1000"
        )
    if options.seed < 0:
        raise UserError(f"--seed {options.seed}: must be 0 or more")


def _compare_detectors(sides: Sides, options: Options) -> Result:
    if options.truth is None:
        raise UserError(
            "--truth is missing: give the COCO ground truth of the test images, such as instances_val2017.json"
        )
    if options.names:
        raise UserError(
            f"--names {options.names}: only for tables of probabilities; the ground truth names the classes"
        )
    truth = read_truth(options.truth)
    models = [[read_results(path, truth) for path in side] for side in sides]
    weights = image_weights(truth.images, options.resamples, options.seed)
    steps = sum(map(len, sides)) * len(truth.names)
    with tqdm(total=steps, desc="comparing", unit="class", mininterval=1.0, leave=False) as bar:
        measured = [[measure_detections(truth, found, weights, bar) for found in side] for side in models]
    lines = compare_lines(det_lines(truth), measured, options.confidence)
    confusion = Confusion(with_background(truth.names), *(confusion_of(truth, side) for side in models))
    notes = det_notes(truth, models, measured)
    return _result(sides, options, lines, _about(truth), [*notes, f"confusion matrices: {DET_MATCHED}"], confusion)


def _about(truth: Truth) -> str:
    crowds = [row["iscrowd"] for of_class in truth.rows for row in of_class]
    regions = f" and {sum(crowds)} crowd regions, in which nothing counts" if any(crowds) else ""
    return f"{truth.images} images with {len(crowds) - sum(crowds)} objects of {len(truth.names)} classes{regions}"


def _compare_classifiers(sides: Sides, options: Options) -> Result:
    names = read_names(options.names) if options.names else None
    test = read_true_classes(sides[0][0], options.truth, names)
    weights = image_weights(len(test.labels), options.resamples, options.seed)
    measured: list[list[Measured]] = []
    with tqdm(total=sum(map(len, sides)), desc="comparing", unit="file", mininterval=1.0, leave=False) as bar:
        for side in sides:
            measured.append([])
            for path in side:
                measured[-1].append(measure_classifier(path, test, names, weights))
                bar.update()
    lines = compare_lines(cls_lines(test), measured, options.confidence)
    return _result(sides, options, lines, f"{len(test.labels)} images of {len(test.names)} classes", [])


def _result(
    sides: Sides,
    options: Options,
    lines: Sequence[Compared],
    about: str,
    notes: Sequence[str],
    confusion: Confusion | None = None,
) -> Result:
    said = [*_limits(len(sides[0]), lines), *notes]
    return Result(
        *sides, lines, options.confidence, options.resamples, options.seed, about=about, notes=said, confusion=confusion
    )


def _limits(trainings: int, lines: Sequence[Compared]) -> list[str]:
    """What the intervals do not say."""
    notes = []
    if trainings == 1:
        notes.append(
            "one training a side: the intervals are for other test images only, not for another training; a verdict "
            "needs 2 seeds or more a side, one file each"
        )
    if few := sum(one.line.images < FEWEST for one in lines):
        notes.append(f"{few} of the lines rest on fewer than {FEWEST} images and have no interval")
    return notes
