from typing import Any

import pytest
from report_inputs import METRICS, NORMAL

from diffaug.evaluation.verdicts import judge, summary


def details(cls: dict[str, float], det: dict[str, float], **more: Any) -> dict[str, Any]:
    """Of a run whose differences of 0.03 have these p-values, the first of each task the primary one."""
    delta = {
        task: {name: {"mean": 0.03, "low": 0.0, "high": 0.06, "p": p} | NORMAL for name, p in of_task.items()}
        for task, of_task in (("cls", cls), ("det", det))
        if of_task
    }
    return METRICS | {"delta": delta, "primary": {"cls": "accuracy", "det": "mAP50_95"}} | more


def test_the_primary_metrics_alone_share_holms_correction() -> None:
    judged = judge(details({"accuracy": 0.03, "macro_f1": 0.5}, {"mAP50_95": 0.04, "mAP50": 0.001}))
    assert (judged["cls", "accuracy"].p, judged["det", "mAP50_95"].p) == pytest.approx((0.06, 0.06))
    assert {one.verdict for one in judged.values() if one.primary} == {"no difference"}
    judged = judge(details({"accuracy": 0.02}, {"mAP50_95": 0.04}))
    assert [one.verdict for one in judged.values()] == ["helped", "helped"]  # 0.02 x 2, then 0.04 x 1


def test_what_lies_behind_a_line_without_a_difference_is_not_tested() -> None:
    judged = judge(details({"accuracy": 0.2, "macro_f1": 0.001, "corrupted_accuracy": 0.001}, {}))
    assert [(one.p, one.verdict) for one in judged.values()][1:] == [(None, "not tested")] * 2


def test_secondary_metrics_are_tested_in_their_order() -> None:
    judged = judge(details({"accuracy": 0.01, "ece_scaled": 0.001, "corrupted_accuracy": 0.2, "macro_f1": 0.002}, {}))
    assert {name: (one.p, one.verdict) for (_, name), one in judged.items()} == {
        "accuracy": (0.01, "helped"),
        "macro_f1": (0.01, "helped"),  # its own p is lower, but the line before it has 0.01
        "corrupted_accuracy": (0.2, "no difference"),
        "ece_scaled": (None, "not tested"),
    }


def test_a_raw_calibration_error_never_gets_a_verdict() -> None:
    assert judge(METRICS)["cls", "ece"].verdict == "not tested"


def test_visible_from_is_at_the_level_at_which_a_line_is_tested() -> None:
    """Two primary metrics: the first step of Holm tests at 2.5 %; where the other is found, at 5 %."""
    both = judge(details({"accuracy": 0.2}, {"mAP50_95": 0.3}))
    assert both["cls", "accuracy"].level == both["det", "mAP50_95"].level == pytest.approx(0.025)
    one = judge(details({"accuracy": 0.001}, {"mAP50_95": 0.3}))
    assert one["det", "mAP50_95"].level == pytest.approx(0.05)
    alone = judge(details({"accuracy": 0.2}, {}))
    assert alone["cls", "accuracy"].level == pytest.approx(0.05)


def test_a_model_that_is_too_weak_gets_no_verdict_and_takes_no_place_among_the_tests() -> None:
    weak = details({"accuracy": 0.04, "macro_f1": 0.001}, {"mAP50_95": 0.001}, weak={"det": "no detections"})
    judged = judge(weak)
    assert (judged["det", "mAP50_95"].verdict, judged["det", "mAP50_95"].p) == ("too weak to say", None)
    assert (judged["cls", "accuracy"].verdict, judged["cls", "accuracy"].p) == ("helped", 0.04)
    real = {"cls": {"accuracy": 0.7, "macro_f1": 0.7}, "det": {"mAP50_95": 0.01}}
    few = summary(weak | {"real": real} | real)
    assert few["det"]["delta"]["verdict"] == "too weak to say" and "p" not in few["det"]["delta"]
    assert few["det"]["weak"] == "no detections"


def test_the_few_numbers_of_a_run() -> None:
    det = {"mAP50_95": {"mean": 0.04561, "low": 0.02, "high": 0.07, "p": 0.0001} | NORMAL}
    run = METRICS | {
        "primary": {"cls": "accuracy", "det": "mAP50_95"},
        "delta": {"cls": METRICS["delta"]["cls"], "det": det},
        "real": METRICS["real"] | {"det": {"mAP50_95": 0.2, "mAP50": 0.5}},
        "det": {"mAP50_95": 0.24561, "mAP50": 0.49},
    }
    assert summary(run) == {
        "cls": {
            "accuracy": 0.78,
            "delta": {"mean": 0.03, "verdict": "helped", "low": 0.012, "high": 0.048, "p": 0.001},
            "real": {"accuracy": 0.75, "ece_scaled": 0.05, "ece": 0.1},
            "ece_scaled": 0.07,
            "ece": 0.12,
            "test_images": 2000,
            "added": "800 synthetic",
            "majority": 0.1,
        },
        "det": {
            "mAP50_95": 0.2456,
            "delta": {"mean": 0.0456, "verdict": "helped", "low": 0.02, "high": 0.07, "p": 0.0002},
            "real": {"mAP50_95": 0.2},
            "test_images": 300,
            "added": "390 to 400 duplicate",
        },
        "seeds": 3,
        "ratio": 4.0,
    }


def test_the_level_of_a_line_does_not_depend_on_its_own_p() -> None:
    """0.04 is found only behind a p below 0.025. So the line with 0.01 is tested at 2.5 %: with 0.03 it would fail."""
    judged = judge(details({"accuracy": 0.01}, {"mAP50_95": 0.04}))
    assert judged["cls", "accuracy"].level == pytest.approx(0.025)
    assert judged["det", "mAP50_95"].level == pytest.approx(0.05)
    assert judge(details({"accuracy": 0.03}, {"mAP50_95": 0.04}))["cls", "accuracy"].verdict == "no difference"
