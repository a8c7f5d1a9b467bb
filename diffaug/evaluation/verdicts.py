"""The verdict on every metric of a run, and the few numbers of metrics.json.

A run has one primary metric for each task, named in the params before the run. Holm's correction is over these. The
other metrics of a task are secondary: in a fixed order, each is tested only if all before it, first of all the primary
one, showed a difference (gatekeeping: Dmitrienko, Tamhane and Bretz 2009). So within each task the probability of any
wrong verdict is that of a single test, however many metrics there are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diffaug.evaluation.metrics import CORRUPTED, METRICS, Metric, find_metric
from diffaug.evaluation.statistics import Difference, holm, verdict

NOT_TESTED, TOO_WEAK = "not tested", "too weak to say"
DECIDED = ("helped", "hurt")
_DIGITS = 4


@dataclass(frozen=True)
class Judged:
    """A metric's difference; its corrected p-value, None if it was not tested; the level at which its uncorrected
    p-value was tested, or would have been; and what follows."""

    metric: Metric
    difference: Difference
    p: float | None
    level: float
    verdict: str
    primary: bool = False


def primary(details: Mapping[str, Any], task: str) -> Metric:
    """The metric on which the task's verdict rests; `details`: of details.json."""
    return find_metric(task, details["primary"][task])


def judge(details: Mapping[str, Any]) -> dict[tuple[str, str], Judged]:
    """By task and name, every metric that has a line in the table of the verdict; each task's primary one first."""
    firsts = {task: primary(details, task) for task in details["primary"] if task in details["delta"]}
    found = {}
    for task, first in _primaries(details, firsts).items():
        found[task, first.metric.name] = first
        found |= {(task, one.metric.name): one for one in _secondaries(details, first)}
    return found


def _primaries(details: Mapping[str, Any], firsts: Mapping[str, Metric]) -> dict[str, Judged]:
    """By task; models that are too weak to say anything have no place among the tests."""
    level = 1 - details["confidence"]
    differences = {task: _difference(details, metric) for task, metric in firsts.items()}
    tested = {task: one.p for task, one in differences.items() if task not in details["weak"]}
    corrected, found = holm(tested), {}
    for task, metric in firsts.items():
        # Its step of Holm's, which its own p does not decide: the step after the others that are found even without it.
        without = holm(tested | {task: 1.0})
        own = level / (1 + sum(p >= level for other, p in without.items() if other != task))
        p = corrected.get(task)
        said = TOO_WEAK if p is None else _said(details, differences[task], p, metric)
        found[task] = Judged(metric, differences[task], p, own, said, primary=True)
    return found


def _secondaries(details: Mapping[str, Any], first: Judged) -> Iterator[Judged]:
    """The other metrics of the task; those behind a line without a difference are not tested."""
    level, before, open_gate = 1 - details["confidence"], first.p or 0.0, first.verdict in DECIDED
    for metric in METRICS:
        delta = details["delta"][first.metric.task]
        if metric.task != first.metric.task or metric == first.metric or not metric.title or metric.name not in delta:
            continue
        difference = _difference(details, metric)
        if not (metric.tested and open_gate):
            yield Judged(metric, difference, None, level, NOT_TESTED)
            continue
        before = max(before, difference.p)
        said = _said(details, difference, before, metric)
        open_gate = said in DECIDED
        yield Judged(metric, difference, before, level, said)


def _difference(details: Mapping[str, Any], metric: Metric) -> Difference:
    return Difference(**details["delta"][metric.task][metric.name])


def _said(details: Mapping[str, Any], difference: Difference, p: float, metric: Metric) -> str:
    return verdict(difference, p, details["confidence"], details["seeds"], metric.lower_is_better)


def added(details: Mapping[str, Any], task: str) -> str:
    """How many images each seed's training set got; a range if they differ."""
    counts = details["added"][task]
    return f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


def summary(details: Mapping[str, Any]) -> dict[str, Any]:
    """The content of metrics.json: for each task the metrics of the merged arm, of the real one, and the difference of
    the primary metric; all in 0-1."""
    content: dict[str, Any] = {}
    judged = judge(details)
    for task, count in details["test_images"].items():
        plain = [name for key, name in judged if key == task and not name.startswith(CORRUPTED)]
        main = judged[task, primary(details, task).name]
        mean, low, high = (round(getattr(main.difference, key), _DIGITS) for key in ("mean", "low", "high"))
        merged, real = (
            {name: round(values[task][name], _DIGITS) for name in plain} for values in (details, details["real"])
        )
        p = {} if main.p is None else {"p": round(main.p, _DIGITS)}
        # `dvc exp show` keeps this order, and a terminal shows the first columns only.
        content[task] = {
            main.metric.name: merged.pop(main.metric.name),
            "delta": {"mean": mean, "verdict": main.verdict, "low": low, "high": high, **p},
            "real": real,
            **merged,
            "test_images": count,
            "added": f"{added(details, task)} {details['recipe'][task]}",
        }
        if task in details["majority"]:
            content[task]["majority"] = round(details["majority"][task], _DIGITS)
        if task in details["weak"]:
            content[task]["weak"] = details["weak"][task]
    ratio = {} if details["ratio"] is None else {"ratio": details["ratio"]}  # none with merge.target
    return {**content, "seeds": details["seeds"], **ratio}
