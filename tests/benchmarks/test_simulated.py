"""What the benchmarks simulate is what they say: a benchmark with a fault would praise a verdict with one."""

import sys
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from report_inputs import NORMAL

sys.path.append(str(ROOT / "benchmarks"))

import calibration
import draws
import simulated_detections
import simulated_runs
import simulation

from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.statistics import Difference


@pytest.mark.parametrize(("ability", "spread"), [(0.0, 0.0), (0.3, 0.0), (0.3, 0.6)])
def test_the_true_accuracy_is_the_mean_over_images_and_models(ability: float, spread: float) -> None:
    generator = np.random.default_rng(0)
    found = [
        simulation.classify(simulation.draw_abilities(100, spread, ability, generator), 100, generator)[1].mean()
        for _ in range(200)
    ]
    assert np.mean(found) == pytest.approx(simulation.true_accuracy(ability, spread), abs=0.01)


def test_the_gain_for_an_effect_gives_the_effect() -> None:
    gain = simulation.gain_for(0.05, 0.15)
    assert simulation.true_accuracy(gain, 0.15) - simulation.true_accuracy(0.0, 0.15) == pytest.approx(0.05)


def test_a_comparison_pairs_the_models_of_a_seed_and_resamples_images_for_all_alike() -> None:
    values = np.zeros((2, 3, 50))
    values[1, :, :10] = 1  # all seeds of the second arm get the same ten images right
    difference, resampled = simulation.compare_values(values)
    assert difference.mean == pytest.approx(0.2)
    assert difference.error == pytest.approx((0.2 * 0.8 / 50) ** 0.5, rel=0.15)  # of a share, from 50 images
    assert len(resampled) == 3 and not resampled[0][0].any() and np.array_equal(resampled[0][1], resampled[2][1])


def test_the_interval_of_shared_draws_misses_the_mean_of_all_draws() -> None:
    inside = {}
    for shared in (True, False):
        found, effect = simulation.compare_with_draws(500, 3, 0.02, 0.3, shared, 60)
        inside[shared] = np.mean([simulation.contains(one, effect) for one in found])
    assert inside[True] < 0.6 and inside[False] > 0.9


def test_a_percentile_bootstrap_tells_arms_apart_that_differ() -> None:
    generator = np.random.default_rng(0)
    zero, noise = np.zeros(200), generator.normal(0, 0.01, 200)
    assert simulation.percentile([(zero, noise + 0.1)] * 3, generator)
    assert not simulation.percentile([(zero, noise)] * 3, generator)


def test_a_perfect_detector_has_a_precision_of_one_and_a_blind_one_of_zero() -> None:
    generator = np.random.default_rng(0)
    scenes, once = simulated_detections.draw_scenes(100, generator), np.ones((1, 100))
    values = [
        simulated_detections.precision(simulated_detections.detect(scenes, ability, generator), once)[0]
        for ability in (-50.0, -0.3, 0.3, 50.0)
    ]
    assert values[0] == 0 and values[3] == pytest.approx(1)
    assert 0.1 < values[1] < values[2] < 0.6


def test_objects_are_those_of_the_scenes_whatever_the_detector_finds() -> None:
    generator = np.random.default_rng(0)
    scenes = simulated_detections.draw_scenes(100, generator)
    for ability in (-50.0, 0.0):
        found = simulated_detections.detect(scenes, ability, generator)
        objects = np.sum([one.objects for one in found], axis=0)
        assert np.array_equal(objects, np.bincount(scenes.image, minlength=100))


def test_a_hit_lies_in_an_image_with_an_object() -> None:
    generator = np.random.default_rng(0)
    for one in simulated_detections.detect(simulated_detections.draw_scenes(100, generator), 0.0, generator):
        assert one.hit[0].any() and one.objects[one.image[one.hit[0]]].all()
        assert (one.hit[:-1] >= one.hit[1:]).all()  # what fits at a high IoU fits at a lower one


def test_the_true_difference_of_detectors_lies_in_nearly_all_intervals() -> None:
    truth = simulated_detections.true_difference(0.0, 0.2, models=20)
    found = [one for one, _ in simulated_detections.compare_detectors(100, 2, 0.0, 0.2, 20)]
    assert 0.03 < truth < 0.09
    assert np.mean([one.mean for one in found]) == pytest.approx(truth, abs=0.015)
    assert np.mean([simulation.contains(one, truth) for one in found]) >= 0.85
    assert simulated_detections.true_difference(0.0, 0.0) == 0


def details(**p: float) -> dict[str, Any]:
    """Of a run in which every metric differs by 0.03, with this p."""
    delta: dict[str, dict[str, Any]] = {"cls": {}, "det": {}}
    for task, name in simulated_runs.FAMILY:
        delta[task][name] = {"mean": 0.03, "low": 0.0, "high": 0.06, "p": p.get(name, 0.5)} | NORMAL
    return {"confidence": 0.95, "primary": dict(simulated_runs.PRIMARIES), "seeds": 3, "weak": {}, "delta": delta}


def test_one_family_corrects_for_all_metrics_and_the_rules_for_the_primary_ones() -> None:
    run = details(accuracy=0.02, mAP50_95=0.03)
    assert simulated_runs.judge_by_rules(run)["cls", "accuracy"] == "helped"  # 0.02 x 2
    assert len(simulated_runs.FAMILY) == 7
    assert simulated_runs.judge_as_one_family(run)["cls", "accuracy"] == "no difference"  # 0.02 x 7
    assert simulated_runs.judge_as_one_family(details(accuracy=0.007))["cls", "accuracy"] == "helped"  # 0.049


def test_a_verdict_is_wrong_without_an_effect_and_against_it() -> None:
    said = {("cls", "accuracy"): "helped", ("cls", "macro_f1"): "hurt", ("cls", "ece_scaled"): "helped"}
    said |= {("det", "mAP50_95"): "no difference", ("det", "mAP50"): "not tested"}
    effects = {("cls", "macro_f1"): 0.1, ("cls", "ece_scaled"): -0.1, ("det", "mAP50_95"): 0.1}
    assert simulated_runs.wrong(said, effects) == {("cls", "accuracy"), ("cls", "macro_f1")}
    assert simulated_runs.primary_found([said], effects) == 0
    assert simulated_runs.primary_found([said], {("cls", "accuracy"): 0.1}) == 1
    assert simulated_runs.primary_found([said], {}) == "-"


def test_a_large_effect_is_found_in_every_metric() -> None:
    effects = {key: (-1.0 if one.lower_is_better else 1.0) for key, one in simulated_runs.FAMILY.items()}
    [(by_rules, as_family)] = simulated_runs.simulate_verdicts(effects, 1, 0)
    assert by_rules == as_family == dict.fromkeys(simulated_runs.FAMILY, "helped")
    assert simulated_runs.wrong(by_rules, effects) == set()
    assert simulated_runs.wrong(by_rules, {}) == set(simulated_runs.FAMILY)


def trained(*accuracies: float) -> list[Measured]:
    return [Measured({"accuracy": one}, {"accuracy": np.array([one - 0.01, one + 0.01])}) for one in accuracies]


def test_three_models_are_chosen_from_one_draw_or_from_three() -> None:
    three = [trained(10, 11, 12), trained(20, 21, 22), trained(30, 31, 32)]
    generator = np.random.default_rng(0)
    for shared, tens in ((True, 1), (False, 3)):
        for _ in range(20):
            chosen = draws.accuracies(draws.choose(three, shared, generator))
            assert len(set(chosen)) == 3 and len({one // 10 for one in chosen}) == tens


def test_the_spread_of_draws_leaves_out_that_of_their_models() -> None:
    # Means 0.2, 0.3 and 0.4, variance 0.01; two models each that differ by 0.02, variance 0.0002.
    of_draws, of_models = draws.spreads([trained(0.19, 0.21), trained(0.29, 0.31), trained(0.39, 0.41)])
    assert of_models == pytest.approx(0.0002**0.5)
    assert of_draws == pytest.approx((0.01 - 0.0001) ** 0.5)
    assert draws.spreads([trained(0.1, 0.3), trained(0.1, 0.3)])[0] == 0


def test_without_test_images_the_interval_is_that_of_the_seeds_alone() -> None:
    real, merged = trained(0.4, 0.5, 0.6), trained(0.6, 0.6, 0.6)
    for one in merged:
        one.resampled["accuracy"] = one.resampled["accuracy"][::-1]  # so the difference varies with the images
    alone = draws.compare_accuracy(real, merged, images=False)
    assert draws.compare_accuracy(real, merged, images=True).error == pytest.approx((0.01 / 3 + 0.0008) ** 0.5)
    assert (alone.mean, alone.error) == pytest.approx((0.1, (0.01 / 3) ** 0.5))
    assert draws.compare_accuracy(trained(0.5, 0.5, 0.5), merged, images=False) == Difference(
        *(pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 0.0, 0.0, None)
    )


def test_draws_far_apart_are_covered_by_intervals_of_own_draws_only() -> None:
    apart = [trained(place, place + 0.001, place + 0.002) for place in np.linspace(0.2, 0.8, 7)]
    controls = trained(0.5, 0.501, 0.502)
    shared, _ = draws.cover(apart, controls, True, False, 100)
    own, _ = draws.cover(apart, controls, False, False, 100)
    assert shared < 0.3 and own > 0.85


def test_metrics_of_a_task_are_correlated_as_said() -> None:
    arrays = simulated_runs.correlated(3, (20_000,), np.random.default_rng(0))
    assert np.corrcoef(arrays)[np.triu_indices(3, 1)] == pytest.approx([0.8] * 3, abs=0.01)
    assert arrays.std(axis=1) == pytest.approx([1.0] * 3, abs=0.02)


@pytest.mark.parametrize(("table", "lines"), [("accuracy", 54), ("primaries", 7), ("visible", 18), ("draws", 16)])
def test_a_table_has_a_line_for_each_setting(
    table: str, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["calibration.py", "--comparisons", "5", table])
    calibration.main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.strip().splitlines()]
    assert len(rows) == lines + 2 and len({len(row) for row in rows}) == 1
    rates = [float(cell) for row in rows[2:] for cell in row if len(cell.strip()) == 5 and cell.strip()[1] == "."]
    assert rates and all(0 <= one <= 1 for one in rates)


def test_a_table_that_does_not_exist_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["calibration.py", "accurracy"])
    with pytest.raises(SystemExit):
        calibration.main()
    assert "no table accurracy; allowed: accuracy, detection, primaries, visible, draws" in capsys.readouterr().err
