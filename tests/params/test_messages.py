from pathlib import Path
from typing import Any

import pytest
import yaml
from default_params import trained_here
from paths import ROOT

from diffaug.params import load_params
from diffaug.runtime.errors import UserError


def message(tmp_path: Path, key: str, value: Any) -> str:
    params = trained_here()
    *path, last = key.split(".")
    section = params
    for part in path:
        section = section[part]
    section[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (
            "train_cls.learning_rate",
            "1e-3",
            "found '1e-3', which YAML reads as text; write 0.001",
        ),
        ("train_cls.learning_rate", "-5E2", "write -500"),
        ("train_det.model", "yolo11n.pt", "train_det.model: give a YOLO's .yaml, such as yolo11n.yaml; weights are "),
        ("train_cls.model", "vgg16", "train_cls.model: allowed are torchvision's ResNets, such as "),
        ("download.strict", "yes", "download.strict: found 'yes'; must be true or false"),
        ("seeds", 0, "seeds: found 0; must be a list, in [ ]"),
        ("seeds", [], "seeds: found []; must not be empty"),
        ("seeds", ["a"], "seeds.0: found 'a'; must be a whole number;"),
        ("jobs", "2", "jobs: found '2'; must be a whole number, without quotes"),
        ("jobs", 1.5, "jobs: found 1.5; must be a whole number"),
        ("merge.seed", None, "merge.seed: found None; must be a whole number;"),
        ("train_cls.weight_decay", "a", "train_cls.weight_decay: found 'a'; must be a number;"),
        ("train_cls.model", None, "train_cls.model: found None; must be text;"),
        ("evaluate", [], "evaluate: found []; must be a section with keys"),
        ("generate.prompt", 7, "generate.prompt.0: found 7; must be text; put it into quotes"),
        ("download.cls.source", "fodler", "download.cls.source: found 'fodler'; did you mean folder?"),
        ("download.det.source", "zzz", "download.det.source: found 'zzz'; allowed are scenes, "),
    ],
)
def test_a_wrong_value_is_answered_with_what_to_write(tmp_path: Path, key: str, value: Any, words: str) -> None:
    assert words in f"{message(tmp_path, key, value)};"


def test_an_address_and_its_hash_are_checked(tmp_path: Path) -> None:
    found = message(tmp_path, "train_det.weights", {"url": "ftp://host/a.pt", "sha256": "A" * 64})
    assert "give the http or https address of a .pt, .pth or .safetensors (found 'ftp://host/a.pt')" in found
    assert "64 digits of 0-9 and a-f" in found


def test_a_tab_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("download:\n\tcls: null\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"line 2, column 1: .*; indent with spaces, not with tabs$"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("key", ["scenes", "folder", "fashion_mnist"])
def test_a_key_named_like_a_source_is_still_named(tmp_path: Path, key: str) -> None:
    assert f"{key}: unknown key" in message(tmp_path, key, 1)


@pytest.mark.parametrize(
    ("section", "old", "typed"),
    [
        ("generate", "num_inference_steps", "steps"),
        ("generate", "guidance_scale", "cfg_scale"),
        ("generate", "negative_prompt", "negativ_prompt"),
        ("train_det", "image_size", "imgsz"),
    ],
)
def test_a_renamed_key_is_named_with_what_it_was_meant_for(tmp_path: Path, section: str, old: str, typed: str) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params[section][typed] = params[section].pop(old)
    params["merge"]["ratoi"] = params["merge"].pop("ratio")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load_params(tmp_path / "params.yaml")
    assert f"{section}.{typed}: unknown key (value " in str(caught.value)
    assert f"did you mean {old}?" in str(caught.value)
    assert "merge.ratoi: unknown key (value 4.0); did you mean ratio?" in str(caught.value)
    assert "missing" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("filter.cls.lable", "did you mean label?"),  # an optional section, which is not missing
        ("evaluate.robustness.severity", "did you mean severities?"),
        (
            "filter.det.label",
            "allowed are degenerate, hash, correlation, embedding, boxes, audit, aesthetic, best, quality",
        ),
        ("download.det.backgrounds", "download.det.backgrounds: unknown key (value 1); allowed are source"),
        ("colours", "allowed are seeds, draws, jobs, download"),
    ],
)
def test_an_unknown_key_names_those_that_are_allowed(tmp_path: Path, key: str, words: str) -> None:
    assert words in message(tmp_path, key, 1)


def test_a_whole_section_is_not_printed(tmp_path: Path) -> None:
    said = message(tmp_path, "filters", {"cls": {"hash": dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 1)}})
    assert "filters: unknown key" in said and "did you mean filter?" in said and len(said) < 200


@pytest.mark.parametrize("key", ["generate.det.per_real", "merge.ratio", "train_gen.scratch.vae.kl_weight"])
def test_infinity_is_no_number_to_work_with(tmp_path: Path, key: str) -> None:
    assert f"{key}: found inf" in message(tmp_path, key, float("inf"))


def test_a_pool_needs_a_source_that_has_one(tmp_path: Path) -> None:
    folder = {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.2}
    assert "download.cls has no pool" in message(tmp_path, "download.cls", folder)


def test_fractions_must_leave_something(tmp_path: Path) -> None:
    folder = {"source": "folder", "path": "photos", "val_fraction": 0.5, "test_fraction": 0.5}
    assert "download.cls: val_fraction + test_fraction must leave" in message(tmp_path, "download.cls", folder)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("seeds", [True], "seeds.0: found True"),
        ("train_det.image_size", 100, "train_det.image_size: found 100; input should be a multiple of 32"),
        ("train_cls.shift", 0.5, "train_cls.shift: found 0.5; input should be less than 0.5"),
        ("filter.cls.hash.min_train", -1.5, "filter.cls.hash.min_train: found -1.5"),
        ("filter.cls.hash.min_heldout", -1.5, "hash.min_heldout: give auto, or a number of 0 or more (found -1.5)"),
        ("filter.cls.hash.min_heldout", "atuo", "hash.min_heldout: give auto, or a number of 0 or more (found 'atuo')"),
        ("filter.det.degenerate.min_std", 200, "min_std: give auto, or a number from 0 to 128 (found 200)"),
        ("filter.against", "test", "filter.against: found 'test'; input should be 'val_and_test' or 'val'"),
        ("filter.cls.label.max_probability", 0.0001, "filter.cls.label: max_probability 0.0001 must be above min_prob"),
        ("evaluate.confidence", 1, "evaluate.confidence: found 1; input should be less than 1"),
        (
            "train_gen.scratch.vae.channels",
            [8, 8, 12],
            "train_gen.scratch.vae.channels.2: found 12; input should be a multiple of 8",
        ),
        ("train_cls.schedule", "step", "train_cls.schedule: found 'step'; input should be 'cosine' or 'one_cycle'"),
    ],
)
def test_a_message_names_key_value_and_what_is_allowed(tmp_path: Path, key: str, value: Any, words: str) -> None:
    assert words in message(tmp_path, key, value)


def test_the_size_that_does_not_fit_is_named(tmp_path: Path) -> None:
    assert "20" in message(tmp_path, "train_gen.size", 20)
