"""Which stages run again after an edit, with the real dvc.yaml."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_dataset
from project import change, commit, copy_of, digest, repro, run

from diffaug.dataset.records import read_set

pytestmark = pytest.mark.slow

TRAIN_MERGED = {"train_cls_merged@0", "train_det_merged@0"}


NO_DIFFERENCE = {"mean": 0, "low": 0, "high": 0, "p": 1, "error": 0, "freedom": None}


def read(project: Path, name: str) -> dict[str, Any]:
    return json.loads((project / f"metrics/{name}.json").read_text(encoding="utf-8"))


def test_a_second_repro_runs_nothing(finished: Path) -> None:
    output = run(finished, "dvc", "repro")
    assert "Running stage" not in output
    assert "up to date" in output


def test_networks_that_have_learned_nothing_are_too_weak_to_say_anything(finished: Path) -> None:
    metrics, details = read(finished, "metrics"), read(finished, "details")
    page = (finished / "metrics/report.html").read_text(encoding="utf-8")
    said = run(finished, "diffaug", "verdict")
    assert details["weak"]["det"].startswith("neither arm's detectors reach 5 points of mAP50")
    assert metrics["det"]["delta"]["verdict"] == "too weak to say" and metrics["det"]["weak"] == details["weak"]["det"]
    sentence = "Detector mAP50-95: too weak to say whether it helped: neither arm"
    assert any(line.startswith(sentence) for line in said.splitlines()[:2])
    assert f'<p class="sentence too weak to say">{sentence}' in page


def test_merge_ratio_runs_the_treatment_alone_and_metrics_diff_shows_it(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    change(project, {"merge": {"ratio": 0}})
    assert repro(project) == {"merge@0", *TRAIN_MERGED, "evaluate", "report"}
    details = read(project, "details")
    # Both arms were trained on the same images with the same seeds, so nothing may differ.
    for task in ("cls", "det"):
        assert details[task] == details["real"][task]
        assert all(difference == NO_DIFFERENCE for difference in details["delta"][task].values())
    commit(project, "baseline")
    run(project, "git", "tag", "baseline")

    change(project, {"merge": {"ratio": 1.5}})
    repro(project)
    changes = json.loads(run(project, "dvc", "metrics", "diff", "baseline", "--json"))["metrics/metrics.json"]
    assert changes["ratio"]["diff"] == 1.5
    for name in ("cls.ece", "cls.ece_scaled"):  # not accuracy, which may be the same on 18 images
        assert changes[name]["diff"] != 0
    assert changes["cls.added"]["old"] == "0 synthetic" and changes["cls.added"]["new"] == "45 synthetic"
    assert len(json.loads(run(project, "dvc", "metrics", "diff", "--all", "--json"))["metrics/metrics.json"]) == 29

    commit(project, "augmented")
    output = run(project, "dvc", "exp", "run", "-S", "merge.ratio=0.5")
    assert "Ran experiment" in output
    assert read(project, "metrics")["ratio"] == 0.5


def test_generate_leaves_the_generator_and_the_control_alone(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    change(project, {"generate": {"guidance_scale": 3.0}})
    ran = repro(project, "merge")
    assert ran == {"generate", "filter", "merge@0"}


def test_a_refused_value_loses_nothing_and_says_so(finished: Path, tmp_path: Path) -> None:
    """DVC removes the results of a stage before it runs it."""
    project = copy_of(finished, tmp_path / "project")
    change(project, {"generate": {"prompt": "a {class} of " + "many " * 100}})
    said = run(project, "dvc", "repro", fails=True)
    assert "tokens" in said and "`dvc checkout` brings them back" in said
    assert not (project / "data/generated/cls").exists()
    run(project, "dvc", "checkout")
    assert digest(project / "data/generated/cls") == digest(finished / "data/generated/cls")


def test_a_threshold_selects_among_the_scores_that_are_there(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    work = project / ".work/filter"
    scores = {path: path.stat().st_mtime_ns for path in work.rglob("*.json")}
    assert len(scores) == 4 + 5
    change(project, {"filter": {"cls": {"degenerate": {"min_std": 0.001}, "label": {"min_probability": 1e-9}}}})
    assert repro(project, "merge") == {"filter"}  # it rejects nothing, so no later stage runs
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.json")} == scores
    change(project, {"filter": {"cls": {"hash": {"min_heldout": "auto"}}}})
    assert repro(project, "filter") == {"filter"}
    after = {path: path.stat().st_mtime_ns for path in work.rglob("*.json")}
    assert scores.items() <= after.items() and after.keys() - scores.keys() == {work / "cls-hash-measure_real.json"}
    kept = json.loads((project / "data/filtered/cls/thresholds.json").read_text(encoding="utf-8"))
    assert 0 <= kept["hash"]["min_heldout"] <= 8


def test_train_det_leaves_generation_and_classification_alone(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    change(project, {"train_det": {"learning_rate": 0.003}})
    ran = repro(project)
    assert {"train_det@real-0", "train_det_merged@0", "filter", "evaluate"} <= ran
    assert ran <= {"train_det@real-0", "train_det_merged@0", "filter", "merge@0", "evaluate", "report"}


@pytest.mark.long
def test_without_its_section_nothing_is_corrupted(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    before = read(project, "details")
    assert list(before["robustness"]["det"]["corruptions"]) == ["clean", "contrast", "all"]
    assert "corrupted_accuracy" in before["delta"]["cls"] and "corrupted_mAP50_95" in before["det"]
    change(project, {"evaluate": {"robustness": None}})
    assert repro(project) == {"evaluate", "report"}
    after = read(project, "details")
    assert after["robustness"] == {} and "corrupted_accuracy" not in after["delta"]["cls"]
    assert after["delta"]["cls"]["accuracy"] == before["delta"]["cls"]["accuracy"]
    assert "On corrupted test images" not in (project / "metrics/report.html").read_text(encoding="utf-8")


def test_an_edit_of_the_report_predicts_nothing(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    before = (project / "metrics/plots/cls_sheet.png").read_bytes()
    change(project, {"report": {"sheet_rows": 2}})
    assert repro(project) == {"report"}
    assert (project / "metrics/plots/cls_sheet.png").read_bytes() != before


def test_an_edited_comment_draws_and_scores_nothing_again(finished: Path, tmp_path: Path) -> None:
    """DVC runs the stages again, since their code is another; what they keep in .work is still good."""
    project = copy_of(finished, tmp_path / "project")
    kept = [*(project / ".work/generate").rglob("*.png"), *(project / ".work/filter").rglob("*.json")]
    times = {path: path.stat().st_mtime_ns for path in kept}
    assert len(times) > 20
    for name in ("generation/drawing/sampler.py", "pictures/boxes.py", "scoring/hash.py"):
        path = project / "diffaug" / name
        path.write_text(f"# A comment.\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert {"generate", "filter"} <= repro(project, "filter")
    assert {path: path.stat().st_mtime_ns for path in kept} == times


def test_the_merged_set_is_complete_in_itself(finished: Path) -> None:
    loaded = load_dataset("parquet", data_dir=str(finished / "data/merged/0/cls"))
    train = read_set(finished / "data/merged/0/cls/train")
    assert loaded["train"].num_rows == len(train) == 60 and loaded["validation"].num_rows > 0
    assert {record.added_by for record in train} == {None, "synthetic"}
    assert train.about["merge"]["ratio"] == 1.0 and train.about["treatment"]["added"] == 30


def test_dvc_carries_every_file_of_every_output(finished: Path) -> None:
    lock = yaml.safe_load((finished / "dvc.lock").read_text(encoding="utf-8"))
    outs = {out["path"]: out.get("nfiles", 1) for stage in lock["stages"].values() for out in stage.get("outs", [])}
    for path, count in outs.items():
        place = finished / path
        assert count == (sum(one.is_file() for one in place.rglob("*")) if place.is_dir() else 1), path
    assert outs["metrics/cards"] == 4 + 1  # the cards, and the seal of their folder


def test_another_seed_draws_scores_and_trains_that_seed_alone(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    kept = [*(project / ".work/generate").rglob("*.png"), *(project / ".work/filter").rglob("*.json")]
    times = {path: path.stat().st_mtime_ns for path in kept}
    before = {path: digest(project / path) for path in ("data/merged/0", "models/cls/merged-0", "models/det/merged-0")}
    change(project, {"seeds": [0, 1]})
    ran = repro(project)
    trained = {name for task in ("cls", "det") for name in (f"train_{task}@real-1", f"train_{task}_merged@1")}
    # merge runs again for seed 0 too, since the tables that it reads are longer; it writes the same set.
    assert ran == {*trained, "generate", "filter", "merge@0", "merge@1", "evaluate", "report"}
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    assert {path: digest(project / path) for path in before} == before
    for task in ("cls", "det"):
        made = read_set(project / f"data/generated/{task}")
        sets = [read_set(project / f"data/merged/{seed}/{task}/train") for seed in (0, 1)]
        assert {record.draw for record in made} == {0, 1}
        assert [{record.draw for record in one if record.added_by} for one in sets] == [{0}, {1}]
        pixels = [{record.sha256 for record in made if record.draw == draw} for draw in (0, 1)]
        assert pixels[0].isdisjoint(pixels[1])


@pytest.mark.long
def test_seeds_that_share_a_draw_train_on_the_same_images(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    change(project, {"seeds": [0, 1], "draws": "shared"})
    repro(project, "merge")
    for task in ("cls", "det"):
        sets = [read_set(project / f"data/merged/{seed}/{task}/train") for seed in (0, 1)]
        assert [one.sha256 for one in sets[0]] == [one.sha256 for one in sets[1]]
        assert {record.draw for record in sets[0]} == {None}


def test_editing_detection_data_never_retrains_a_classifier(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    change(project, {"download": {"det": {"train": 5}}})
    ran = repro(project, "merge", "train_cls@real-0", "train_cls_merged@0")
    assert ran == {"download", "generate", "train_det@real-0", "filter", "merge@0"}


@pytest.mark.long
def test_every_recipe_makes_its_arm_and_nothing_is_drawn_again(finished: Path, tmp_path: Path) -> None:
    """real_more needs a pool, which this project's folder of photographs does not have, so both arms are the same."""
    project = copy_of(finished, tmp_path / "project")
    for recipe in ("unfiltered", "duplicate", "classic", "vae_roundtrip", "shuffled_labels", "real_more"):
        change(project, {"merge": {"recipe": recipe}})
        assert repro(project, "merge") == {"merge@0"}
        for task, real in (("cls", 30), ("det", 4)):
            rows = len(read_set(project / f"data/merged/0/{task}/train"))
            assert rows == (real if recipe in ("classic", "real_more") else 2 * real)


@pytest.mark.long
def test_a_study_is_made_of_experiments_and_goes_on(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    params = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    params["study"] = {"duplicate": ["merge.recipe=duplicate"], "classic": ["merge.recipe=classic"]}
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    commit(project, "study")
    output = run(project, "diffaug", "study")
    assert "1 of 2: duplicate (merge.recipe=duplicate)\n" in output and "2 of 2: classic (" in output
    assert "Running stage 'generate'" not in output and "Running stage 'train_cls@real-0'" not in output
    assert "| classifier accuracy | classic | 0 |" in output
    assert (project / "metrics/study.png").exists()
    assert run(project, "git", "status", "--porcelain") == ""  # the workspace is unchanged
    again = run(project, "diffaug", "study")
    assert again.count("done before") == 2 and "Running stage" not in again


@pytest.mark.long
def test_tune_chooses_by_val_and_looks_at_test_once(finished: Path, tmp_path: Path) -> None:
    project = copy_of(finished, tmp_path / "project")
    output = run(project, "diffaug", "tune", "merge.ratio=0.5,1")
    assert "| merge.ratio=0.5 | " in output and "| merge.ratio=1 | " in output
    assert output.count("Running stage 'evaluate'") == 1
    assert "Note: 2 settings were compared on val before this one was chosen" in output
    assert (project / "metrics/tune.png").exists() and run(project, "git", "status", "--porcelain") == ""
