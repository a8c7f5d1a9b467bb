"""Scores by networks, with values computed by hand and real networks with random weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save_file
from sets import NAMES, made, noise, real, write_material
from small_models import clip
from transformers import CLIPImageProcessor, CLIPModel, CLIPVisionModelWithProjection

from diffaug.params.base import ModelName
from diffaug.params.filter import Aesthetic, HubNetwork, Label, Text
from diffaug.runtime.errors import UserError
from diffaug.scoring import aesthetic, label, text
from diffaug.scoring.clip import open_clip
from diffaug.scoring.networks import open_network

CPU = torch.device("cpu")


def test_probability_and_rank_by_hand() -> None:
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.45, 0.45], [0.6, 0.3, 0.1]])
    intended, ranks = label.agreement(probabilities, torch.tensor([0, 2, 2]))
    assert intended.tolist() == pytest.approx([0.7, 0.45, 0.1])
    assert ranks.tolist() == [1, 1, 3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, []),
        ({"label_probability": 0.09}, ["label doubted"]),
        ({"label_rank": 3}, ["label doubted"]),
        ({"label_probability": 0.96}, ["too easy"]),
    ],
)
def test_label_thresholds(row: dict, reason: list[str]) -> None:
    checks = Label(min_probability=0.1, max_rank=2, max_probability=0.95)
    found = {"label_probability": 0.5, "label_rank": 2} | row
    assert [what for what, fails in label.failures(found, checks) if fails] == reason


def test_similarity_and_probability_by_hand() -> None:
    """cos 60 degrees = 0.5 with the first prompt, 0.866 with the second; exp(2 (0.866 - 0.5)) : 1 is 0.675."""
    images = torch.tensor([[0.5, 3**0.5 / 2], [0.5, 3**0.5 / 2]])
    similarity, probability = text.agreement(images, torch.eye(2), [0, 1], 2.0)
    assert similarity.tolist() == pytest.approx([50.0, 86.6025], abs=1e-3)
    assert probability.tolist() == pytest.approx([0.3247, 0.6753], abs=1e-3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelName:
    return ModelName(name=str(clip(tmp_path_factory.mktemp("clip") / "model")))


def test_clip_reads_images_and_prompts(model: ModelName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image's numbers are the same alone and with others: the softmax is over the classes."""
    monkeypatch.chdir(tmp_path)
    checks = Text(model=model, prompt="a photo of a {class}", min_similarity=-100.0, min_probability=0.0)
    images = [made(f"g{n}", noise(n), n % 2) for n in range(5)]
    columns = text.measure(write_material(tmp_path, images), checks)
    alone = text.measure(write_material(tmp_path, images[3:4]), checks)
    for name in ("text_similarity", "text_probability"):
        assert columns[name][3] == pytest.approx(alone[name][0], abs=1e-4)
    other = text.measure(write_material(tmp_path, [made("g3", noise(3), 0)]), checks)
    assert other["text_probability"][0] + alone["text_probability"][0] == pytest.approx(1.0, abs=1e-5)
    opened = open_clip(model, CPU, "filter.cls.text.model")
    prompts = opened.texts([f"a photo of a {name}" for name in NAMES])
    cosine = float(opened.images([noise(3)])[0] @ prompts[1])
    assert alone["text_similarity"][0] == pytest.approx(100 * cosine, abs=1e-3)


def test_text_thresholds(model: ModelName) -> None:
    checks = Text(model=model, prompt="{class}", min_similarity=20.0, min_probability=0.5)
    row = {"text_similarity": 19.0, "text_probability": 0.4}
    reasons = [what for what, fails in text.failures(row, checks) if fails]
    assert reasons == ["not as its prompt", "another class's prompt"]


def head_of(width: int, numbers: tuple[int, ...] = (0, 2, 4, 6, 7)) -> dict[str, torch.Tensor]:
    """Worked out by hand: inputs of 0.25, 16 of them, give 3 and 1, then 9.5, -18, -9 and 6. With ReLUs it were -3."""
    layers = [
        (torch.full((2, width), 0.5), torch.tensor([1.0, -1.0])),
        (torch.tensor([[2.0, 3.0]]), torch.tensor([0.5])),
        (torch.tensor([[-2.0]]), torch.tensor([1.0])),
        (torch.tensor([[0.5]]), torch.tensor([0.0])),
        (torch.tensor([[-1.0]]), torch.tensor([-3.0])),
    ]
    return {
        f"layers.{number}.{name}": value
        for number, layer in zip(numbers, layers)
        for name, value in zip(("weight", "bias"), layer)
    }


def test_the_aesthetic_head_by_hand(model: ModelName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = head_of(16)
    save_file(weights, tmp_path / "head.safetensors")
    head = aesthetic.build_head(weights, "filter.cls.aesthetic.head")
    assert head(torch.full((1, 16), 0.25)).item() == 6.0

    checks = Aesthetic(model=model, head="head.safetensors", min=6.0)
    columns = aesthetic.measure(write_material(tmp_path, [made("a", noise(1))]), checks)
    total = open_clip(model, CPU, "m").images([noise(1)]).sum().item()
    assert columns["aesthetic"][0] == pytest.approx(2 * (total / 2 + 1) + 3 * (total / 2 - 1) + 0.5 - 0.5 - 3, abs=1e-4)
    assert [fails for _, fails in aesthetic.failures({"aesthetic": 5.9}, checks)] == [True]


def test_clip_and_head_in_one_folder(
    model: ModelName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As `aesthetics-predictor-v2-sac-logos-ava1-l14-linearMSE` on the hub: the half that reads images, and layers."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "predictor"
    whole = CLIPModel.from_pretrained(model.name)
    whole.config.vision_config.projection_dim = whole.config.projection_dim
    half = CLIPVisionModelWithProjection(whole.config.vision_config)
    half.load_state_dict({name: value for name, value in whole.state_dict().items() if name in half.state_dict()})
    half.save_pretrained(folder)
    CLIPImageProcessor.from_pretrained(model.name).save_pretrained(folder)
    save_file(load((folder / "model.safetensors").read_bytes()) | head_of(16), folder / "model.safetensors")
    material = write_material(tmp_path, [made(f"g{n}", noise(n)) for n in range(3)])
    capfd.readouterr()
    found = aesthetic.measure(material, Aesthetic(model=ModelName(name=str(folder)), min=6.0))
    assert "layers" not in "".join(capfd.readouterr())  # transformers does not know the head, and need not say so
    save_file(head_of(16), tmp_path / "head.safetensors")
    apart = aesthetic.measure(material, Aesthetic(model=model, head="head.safetensors", min=6.0))
    assert found["aesthetic"] == pytest.approx(apart["aesthetic"], abs=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"fc.weight": torch.ones(1, 2)}, "expected the layers 0, 2, 4, 6, 7 and nothing else, found the layers none"),
        (head_of(16, (0, 3, 6, 9, 11)), r"a head with ReLUs between its layers \(0, 3, 6, 9, 11\), .*; take sac.logos"),
        (head_of(16, (0, 2, 4, 6, 8)), "found the layers 0, 2, 4, 6, 8 in 10 tensors"),
        (head_of(16) | {"layers.1.running_mean": torch.ones(2)}, "and nothing else"),
        (
            head_of(16) | {"layers.2.weight": torch.ones(1, 3)},
            r"do not follow each other to one number, found \[\(16, 2",
        ),
        (head_of(16) | {"layers.2.bias": torch.ones(3)}, "a layer has no weight, no bias, or not as many of both"),
        (head_of(16) | {"layers.2.weight": torch.ones(2)}, "a layer has no weight, no bias, or not as many of both"),
        ({**head_of(16), "layers.7.bias": torch.ones(3)}, "not as many of both"),
        ({k: v for k, v in head_of(16).items() if k != "layers.6.bias"}, "a layer has no weight, no bias"),
    ],
)
def test_what_is_no_known_head(weights: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(UserError, match=rf"params\.yaml: filter\.cls\.aesthetic\.head: .*{message}"):
        aesthetic.build_head(weights, "filter.cls.aesthetic.head")


def test_a_head_of_another_clip_is_refused(model: ModelName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file(head_of(768), tmp_path / "head.safetensors")
    with pytest.raises(UserError, match=r"filter\.cls\.aesthetic\.head: takes vectors of 768 numbers, but .* gives 16"):
        aesthetic.measure(
            write_material(tmp_path, [made("a", noise(1))], train=[real("t", noise(2), "train")]),
            Aesthetic(model=model, head="head.safetensors", min=6.0),
        )
    with pytest.raises(UserError, match=r"aesthetic\.model: .*found the layers none in 0 tensors"):
        aesthetic.measure(write_material(tmp_path, [made("a", noise(1))]), Aesthetic(model=model, min=6.0))


def test_what_is_no_clip_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"filter\.cls\.text\.model: transformers cannot open .* as a CLIP"):
        open_clip(ModelName(name=str(folder)), CPU, "filter.cls.text.model")


def test_teachers_with_weights_that_are_not_finite_are_refused(model: ModelName, tmp_path: Path) -> None:
    head = {"layers.0.weight": torch.full((1, 16), float("nan")), "layers.0.bias": torch.zeros(1)}
    with pytest.raises(UserError, match=r"key: layers\.0\.weight has weights that are not finite numbers"):
        aesthetic.build_head(head, "key")
    folder = Path(shutil.copytree(model.name, tmp_path / "broken"))
    weights = load((folder / "model.safetensors").read_bytes())
    weights["logit_scale"] = torch.tensor(float("inf"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"^params\.yaml: key: .*/broken: logit_scale has weights that are not finite"):
        open_clip(ModelName(name=str(folder)), CPU, "key")


def test_a_teacher_of_custom_code_is_refused_in_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "own"
    folder.mkdir()
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Net"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text("open('pwned', 'w')")
    (folder / "preprocessor_config.json").write_text(json.dumps(config | {"image_processor_type": "ViTImageProcessor"}))
    save_file({"a": torch.ones(1)}, folder / "model.safetensors")
    network = HubNetwork(hub=ModelName(name=str(folder)))
    with pytest.raises(UserError) as caught:
        open_network(network, write_material(tmp_path, []), "filter.cls.quality.network")
    assert str(caught.value) == (
        f"{folder}/config.json: names custom code, which never runs here; take a model whose parts are classes of "
        "diffusers or transformers"
    )
    assert not Path("pwned").exists()
