import pytest
from report_inputs import METRICS

from diffaug.evaluation.verdicts import judge, summary


def test_every_line_of_the_table_is_judged_with_its_corrected_p() -> None:
    judged = judge(METRICS)
    assert {key: (one.p, one.verdict) for key, one in judged.items()} == {
        ("cls", "accuracy"): (pytest.approx(0.003), "helped"),
        ("cls", "ece"): (pytest.approx(0.04), "hurt"),
        ("det", "mAP50"): (0.3, "no difference"),
    }


def test_the_few_numbers_of_a_run() -> None:
    det = {"mAP50_95": {"mean": 0.04561, "low": 0.02, "high": 0.07, "p": 0.0001, "detectable": 0.03}}
    details = METRICS | {
        "delta": {"cls": METRICS["delta"]["cls"], "det": det},
        "real": METRICS["real"] | {"det": {"mAP50_95": 0.2, "mAP50": 0.5}},
        "det": {"mAP50_95": 0.24561, "mAP50": 0.49},
    }
    assert summary(details) == {
        "cls": {
            "accuracy": 0.78,
            "delta": {"mean": 0.03, "verdict": "helped", "low": 0.012, "high": 0.048, "p": 0.002},
            "real": {"accuracy": 0.75, "ece": 0.1},
            "ece": 0.12,
            "test_images": 2000,
            "added": "800 synthetic",
        },
        "det": {
            "mAP50_95": 0.2456,
            "delta": {"mean": 0.0456, "verdict": "helped", "low": 0.02, "high": 0.07, "p": 0.0003},
            "real": {"mAP50_95": 0.2},
            "test_images": 300,
            "added": "400 duplicate",
        },
        "seeds": 3,
        "ratio": 4.0,
    }
