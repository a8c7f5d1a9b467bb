"""`diffaug check` reads the data on the disk as `download` would."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from architectures import as_yaml, small
from default_params import edited, trained_here
from paths import ROOT
from photos import NAMES, WRITERS, read, two_hundred
from PIL import Image
from safetensors.torch import save_file

from diffaug.classifier.network import known_models
from diffaug.commands import check as command
from diffaug.commands.check import _RESNETS, check
from diffaug.dataset.records import write_set
from diffaug.params import Params, load_params
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError

FRACTIONS = {"val_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(command, "speed", lambda: 1.0)  # the test of the probe is its own


def params(tmp_path: Path, cls: dict[str, Any] | None, det: dict[str, Any] | None) -> Params:
    raw = trained_here("real/det/train" if det else "real/cls/train")
    raw["download"] |= {"cls": cls, "det": det}
    raw["merge"]["ratio"] = 1.0
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_params(tmp_path / "params.yaml")


def test_a_preset_is_named_in_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    shutil.copytree(ROOT / "pretrained", tmp_path / "pretrained")
    (tmp_path / "mine.yaml").write_text("seeds: [0]\n")
    command.check_preset(Path("mine.yaml"))
    assert capsys.readouterr().out.splitlines()[-1] == "params.yaml with mine.yaml: fine"


def test_a_single_file_is_recognised_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    save_file({"lora_unet_mid_block.lora_down.weight": torch.zeros(1, 1)}, tmp_path / "some.safetensors")
    (tmp_path / "old.pt").write_bytes(b"never read")
    for name, words in (
        ("some.safetensors", r"is a LoRA, no model; name it in generate\.loras"),
        ("old.pt", r"is pickled, .* `diffaug convert old\.pt old\.safetensors` makes a file that cannot"),
    ):
        (tmp_path / "mine.yaml").write_text(f"download: {{unseen_by: null}}\ngenerate: {{model: {{name: ./{name}}}}}\n")
        with pytest.raises(UserError, match=rf"generate\.model: {name} {words}"):
            command.check_preset(Path("mine.yaml"))


@pytest.mark.parametrize("format", WRITERS)
def test_folders_and_their_crops(tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = WRITERS[format](tmp_path / "photos", two_hundred())
    crops = {"source": "crops", "context": 1.5, "min_side": 8}
    check(params(tmp_path, crops, {"source": "folder", "path": str(root), **FRACTIONS}))
    out = capsys.readouterr().out
    assert f"{root}: fine: 3 classes; train 118 images (cat" in out
    assert "crops of det: fine: 3 classes" in out


def test_a_fault_of_a_folder_stops_it(tmp_path: Path) -> None:
    root = WRITERS["voc"](tmp_path / "photos", two_hundred())
    (root / "Annotations/p000.xml").write_text("<annotation>")
    with pytest.raises(UserError, match=r"p000\.xml: not readable as XML"):
        check(params(tmp_path, None, {"source": "folder", "path": str(root), **FRACTIONS}))


def test_prompts_are_checked_against_the_classes(tmp_path: Path) -> None:
    root = WRITERS["yolo"](tmp_path / "photos", two_hundred())
    folder = {"source": "folder", "path": str(root), **FRACTIONS}
    for change, message in [
        ({"classes": {"cta": {"synonyms": ["kitten"]}}}, r"generate\.classes\.cta: there is no such class"),
        ({"prompt": "a {class} {place}"}, r"has \{place\}, which is neither \{class\} nor one of generate\.attributes"),
    ]:
        given = params(tmp_path, None, folder)
        with pytest.raises(UserError, match=message):
            check(given.model_copy(update={"generate": given.generate.model_copy(update=_valid(given, change))}))


def _valid(given: Params, change: dict[str, Any]) -> dict[str, Any]:
    raw = given.generate.model_dump() | change
    return {key: getattr(GenerateParams.model_validate(raw), key) for key in change}


def test_pictures_without_a_caption_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/own/style").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("data/own/style/a.png")
    for number in range(20):
        path = tmp_path / f"photos/{('cat', 'dog')[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((16, 16), 10 + 10 * number).save(path)
    found = params(tmp_path, {"source": "folder", "path": str(tmp_path / "photos"), **FRACTIONS}, None)
    own = found.train_gen.model_copy(update={"method": "lora", "images": "own/style"})
    with pytest.raises(UserError, match=r"data/own/style: has no captions; write NAME\.txt for each NAME\.png"):
        command._check_captions(found.model_copy(update={"train_gen": own}), {})
    Path("data/own/style/a.txt").write_text("a cat")
    command._check_captions(found.model_copy(update={"train_gen": own}), {})
    assert "data/own/style: fine: 1 pictures with captions" in capsys.readouterr().out
    taught = own.model_copy(update={"method": "textual_inversion"})
    with pytest.raises(UserError, match=r"train_gen\.images: the caption 'a cat' does not have the word .* <my-style>"):
        command._check_captions(found.model_copy(update={"train_gen": taught}), {})
    Path("prompts").mkdir()
    Path("prompts/mine.csv").write_text("file_name,text\nx.png,a cat\n")
    described = found.train_gen.model_copy(update={"captions": "prompts/mine.csv"})
    with pytest.raises(UserError, match=r"prompts/mine\.csv: has no caption for \w+/"):
        check(found.model_copy(update={"train_gen": described}))


def test_the_networks_that_need_no_look_are_those_of_torchvision() -> None:
    assert set(known_models()) == _RESNETS


def test_a_folder_in_the_hubs_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = WRITERS["coco"](tmp_path / "photos", two_hundred())
    for split, records in read(root).splits.items():
        write_set(tmp_path / "set" / split, NAMES, records)
    splits = {"train": "train", "val": "validation", "test": "test"}
    hub = {"source": "hf", "name": str(tmp_path / "set"), "image": "image", "objects": "objects", "splits": splits}
    check(params(tmp_path, None, {**hub, **FRACTIONS}))
    assert f"{tmp_path / 'set'}: fine: 3 classes; train 118 images (cat" in capsys.readouterr().out


def test_what_is_downloaded_is_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(params(tmp_path, {"source": "crops", "context": 1.0, "min_side": 8}, {"source": "bccd"}))
    device, *_, estimate, fine = capsys.readouterr().out.splitlines()
    assert (
        device.startswith("device: ")
        and estimate.startswith("estimate, if all stages run: about ")
        and fine == "params.yaml: fine"
    )
    assert not (tmp_path / "work").exists()


def test_networks_of_the_filter_are_known_to_torchvision(tmp_path: Path) -> None:
    root = WRITERS["yolo"](tmp_path / "photos", two_hundred())
    chosen = params(tmp_path, None, {"source": "folder", "path": str(root), **FRACTIONS})
    raw = chosen.model_dump(exclude_unset=True)
    raw["filter"]["det"]["quality"] = {"network": {"torchvision": "mobilenetv2", "weights": "DEFAULT"}, "nearest": 5}
    message = r"filter\.det\.quality\.network: torchvision has no classifier 'mobilenetv2'; it has mobilenet_v2"
    with pytest.raises(UserError, match=message):
        check(Params.model_validate(raw))


def test_what_is_seldom_meant_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Photographs of 640 pixels for a network of 32 pixels, and few test images."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            shade = (number, 7, 3 if name == "cat" else 9)
            Image.new("RGB", (640, 480), shade).save(tmp_path / "photos" / name / f"{number}.png")
    check(params(tmp_path, {"source": "folder", "path": str(tmp_path / "photos"), **FRACTIONS}, None))
    out = capsys.readouterr().out
    assert "note: the photographs are about 640 pixels long, but train_cls.image_size is 32" in out
    assert "note: with 8 test images, a difference below about 44 points of accuracy is hardly visible" in out


def test_layers_of_ones_own_that_do_not_fit_are_found(tmp_path: Path) -> None:
    file = as_yaml(tmp_path, small(backbone=[[-1, 1, "Conv", [8, 3, 0]]]))
    given = params(tmp_path, None, {"source": "bccd"})
    changed = given.model_copy(update={"train_det": given.train_det.model_copy(update={"model": file})})
    with pytest.raises(UserError, match=r"train_det\.model: .*own\.yaml"):
        check(changed)


def test_a_model_that_does_not_state_its_images_is_found_before_the_run(tmp_path: Path) -> None:
    found = load_params(ROOT / "params.yaml")
    unstated = found.download.model_copy(update={"unseen_by": str(tmp_path)})
    with pytest.raises(UserError, match=r"download\.unseen_by: .* has no seen\.safetensors"):
        check(found.model_copy(update={"download": unstated}))


def test_check_looks_for_what_the_filter_names(tmp_path: Path) -> None:
    network = {"torchvision": "mobilenet_v2", "weights": "none.safetensors"}
    near = {"network": network, "min_train": 0.0, "min_heldout": 0.0, "min_generated": 0.0}
    with pytest.raises(UserError, match=r"filter\.cls\.embedding\.network\.weights: none\.safetensors does not exist"):
        check(load_params(edited(tmp_path, lambda params: params["filter"]["cls"].update(embedding=near))))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"loras": [{"path": "./none.safetensors", "scale": 1.0}]},
            r"generate\.loras: \./none\.safetensors does not exist",
        ),
        ({"prompts_file": "prompts/none.txt"}, r"generate\.prompts_file: prompts/none\.txt does not exist"),
        ({"tiny_vae": {"name": "./none"}}, r"generate\.tiny_vae: \./none does not exist"),
        ({"vae": {"name": "./none.safetensors"}}, r"generate\.vae: \./none\.safetensors does not exist"),
    ],
)
def test_check_looks_for_the_files_that_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check(load_params(edited(tmp_path, lambda params: params["generate"].update(changes))))
