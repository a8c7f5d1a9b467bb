"""The verdict on every metric of a run, and the few numbers of metrics.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffaug.evaluation.metrics import CORRUPTED, METRICS, Metric, headline
from diffaug.evaluation.statistics import Difference, holm, verdict

_DIGITS = 4


@dataclass(frozen=True)
class Judged:
    """A metric's difference, its p-value corrected for all metrics of the run, and what follows from both."""

    metric: Metric
    difference: Difference
    p: float
    verdict: str


def judge(details: Mapping[str, Any]) -> dict[tuple[str, str], Judged]:
    """By task and name, every metric that has a line in the table of the verdict; `details`: of details.json."""
    shown = [one for one in METRICS if one.title and one.name in details["delta"].get(one.task, {})]
    found = {one: Difference(**details["delta"][one.task][one.name]) for one in shown}
    corrected = holm({one: difference.p for one, difference in found.items()})
    return {
        (one.task, one.name): Judged(
            one,
            difference,
            corrected[one],
            verdict(difference, corrected[one], details["confidence"], details["seeds"], one.lower_is_better),
        )
        for one, difference in found.items()
    }


def summary(details: Mapping[str, Any]) -> dict[str, Any]:
    """The content of metrics.json: for each task the metrics of the merged arm, of the real one, and the difference of
    the main metric; all in 0-1."""
    content: dict[str, Any] = {}
    judged = judge(details)
    for task, count in details["test_images"].items():
        plain = [name for key, name in judged if key == task and not name.startswith(CORRUPTED)]
        main = judged[task, headline(task).name]
        mean, low, high = (round(getattr(main.difference, key), _DIGITS) for key in ("mean", "low", "high"))
        merged, real = (
            {name: round(values[task][name], _DIGITS) for name in plain} for values in (details, details["real"])
        )
        # `dvc exp show` keeps this order, and a terminal shows the first columns only.
        content[task] = {
            main.metric.name: merged.pop(main.metric.name),
            "delta": {"mean": mean, "verdict": main.verdict, "low": low, "high": high, "p": round(main.p, _DIGITS)},
            "real": real,
            **merged,
            "test_images": count,
            "added": f"{details['added'][task]} {details['recipe'][task]}",
        }
    ratio = {} if details["ratio"] is None else {"ratio": details["ratio"]}  # none with merge.target
    return {**content, "seeds": details["seeds"], **ratio}
