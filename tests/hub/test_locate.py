import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from diffaug.hub.locate import Located, config_folder, locate_network, locate_pipeline
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

UNET = "unet/diffusion_pytorch_model.safetensors"


def located(path: Path, **settings: Any) -> Located:
    return locate_pipeline(ModelName(name=str(path), **settings), "generate.model")


def pickled(file: Path) -> None:
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def nudged(file: Path, to: Path) -> None:
    """The weights with one number changed."""
    weights = load_file(file)
    next(iter(weights.values())).view(-1)[0] += 1
    save_file(weights, to)


def test_a_whole_folder(pipeline: Path) -> None:
    found = located(pipeline)
    assert (found.name, found.revision, found.path, found.licence) == (str(pipeline), None, pipeline, None)
    assert len(found.sha256) == 64
    elsewhere = pipeline.rename(pipeline.with_name("elsewhere"))
    assert located(elsewhere).sha256 == found.sha256


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: nudged(folder / UNET, folder / UNET),
        lambda folder: edit(folder / "scheduler/scheduler_config.json", beta_end=0.02),
        lambda folder: edit(folder / "model_index.json", requires_safety_checker=True),
        lambda folder: edit(folder / "tokenizer/tokenizer_config.json", model_max_length=12),
    ],
)
def test_another_model_has_another_hash(pipeline: Path, change: Callable[[Path], object]) -> None:
    before = located(pipeline).sha256
    change(pipeline)
    assert located(pipeline).sha256 != before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "README.md").write_text("other words"),
        lambda folder: (folder / "losses.csv").write_text("network,step,loss\n"),
        lambda folder: nudged(folder / UNET, folder / "unet/diffusion_pytorch_model.fp16.safetensors"),
        lambda folder: (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"never read"),
        lambda folder: (folder / "unet/diffusion_pytorch_model.safetensors.index.fp16.json").write_text(
            '{"weight_map": {}}'
        ),
    ],
)
def test_what_is_not_read_does_not_change_the_hash(pipeline: Path, change: Callable[[Path], object]) -> None:
    before = located(pipeline).sha256
    change(pipeline)
    assert located(pipeline).sha256 == before


def test_a_variant_is_taken_where_a_part_has_it(pipeline: Path) -> None:
    nudged(pipeline / UNET, pipeline / "unet/diffusion_pytorch_model.fp16.safetensors")
    both, plain = located(pipeline, variant="fp16").sha256, located(pipeline).sha256
    (pipeline / UNET).unlink()
    assert located(pipeline, variant="fp16").sha256 == both != plain


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (["unet"], "unet/config.json, unet/*.safetensors"),
        (["unet/config.json"], "unet/config.json"),
        ([UNET], "unet/*.safetensors"),
        (["text_encoder/model.safetensors", "vae/config.json"], "text_encoder/*.safetensors, vae/config.json"),
        (["tokenizer"], "tokenizer/*"),
        (["scheduler/scheduler_config.json"], "scheduler/*"),
    ],
)
def test_a_missing_part_is_named(pipeline: Path, lost: list[str], named: str) -> None:
    for name in lost:
        path = pipeline / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError) as caught:
        located(pipeline)
    assert str(caught.value) == f"params.yaml: generate.model: {pipeline} is not complete; absent: {named}"


def test_a_missing_shard_is_named(pipeline: Path) -> None:
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet")
    shutil.rmtree(pipeline / "unet")
    unet.save_pretrained(pipeline / "unet", max_shard_size="40KB")
    whole = located(pipeline).sha256
    shards = sorted((pipeline / "unet").glob("*-of-*.safetensors"))
    assert len(shards) > 1
    nudged(shards[1], shards[1])
    assert located(pipeline).sha256 != whole
    shards[1].unlink()
    with pytest.raises(UserError, match=rf"is not complete; absent: unet/{shards[1].name}$"):
        located(pipeline)


def test_a_fast_preprocessor_is_no_network(pipeline: Path) -> None:
    edit(pipeline / "model_index.json", feature_extractor=["transformers", "CLIPImageProcessorFast"])
    (pipeline / "feature_extractor").mkdir()
    (pipeline / "feature_extractor/preprocessor_config.json").write_text("{}")
    assert located(pipeline).path == pipeline


def test_pickled_weights_need_to_be_allowed(pipeline: Path) -> None:
    pickled(pipeline / UNET)
    with pytest.raises(UserError, match=r"unet of .* has only pickled weights, .*any code; .*allow_pickle: true"):
        located(pipeline)
    allowed = located(pipeline, allow_pickle=True).sha256
    (pipeline / "unet/diffusion_pytorch_model.bin").write_bytes(b"other")
    assert located(pipeline, allow_pickle=True).sha256 != allowed


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("models/generator", r"models/generator is not a folder; run `dvc repro train_gen`"),
        ("./nowhere", r"nowhere is not a folder; give the path of a folder"),
        ("./empty", r"empty has no model_index\.json; it is not in the hub's pipeline layout"),
        ("./damaged", r"model_index\.json: not readable \(.*\); fetch the model again"),
        ("./none.safetensors", r"none\.safetensors is not a file; give the path of a checkpoint"),
        ("./some.ckpt", r"some\.ckpt is pickled, .*`diffaug convert some\.ckpt some\.safetensors`"),
        ("./some.safetensors", r"some\.safetensors is damaged, or not a \.safetensors file \(.*\); fetch it again"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "damaged"):
        (tmp_path / folder).mkdir()
    (tmp_path / "damaged/model_index.json").write_text("{")
    for file in ("some.ckpt", "some.safetensors"):
        (tmp_path / file).write_bytes(b"x")
    with pytest.raises(UserError, match=words):
        locate_pipeline(ModelName(name=path), "generate.model")


def test_a_single_file_with_its_configuration(pipeline: Path, tmp_path: Path) -> None:
    file = tmp_path / "cat.safetensors"
    file.write_bytes(b"weights")
    model = ModelName(name=str(file), config=str(pipeline))
    found = locate_pipeline(model, "generate.model")
    assert (found.name, found.revision, found.path, found.licence) == ("cat.safetensors", None, file, None)
    shutil.copytree(pipeline, tmp_path / "other")
    scheduler = tmp_path / "other/scheduler/scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("v_prediction", "epsilon"), encoding="utf-8")
    other = locate_pipeline(ModelName(name=str(file), config=str(tmp_path / "other")), "generate.model")
    assert other.sha256 != found.sha256, "the configuration is part of the model"
    assert found.config == pipeline


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("./nowhere", r"generate\.model\.config: './nowhere' is not a folder with a model_index\.json, nor one of sd1"),
        ("owner/model@main", r"\.config: 'owner/model@main': revision of owner/model is 'main', .* prints the commit$"),
    ],
)
def test_a_configuration_that_is_not_there_is_refused(config: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        config_folder(ModelName(name="./x.safetensors", config=config), "generate.model")
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


def test_a_single_network(pipeline: Path) -> None:
    model = ModelName(name=str(pipeline / "vae"))
    whole = locate_network(model, "generate.tiny_vae")
    assert (whole.path, len(whole.sha256)) == (pipeline / "vae", 64)
    pickled(pipeline / "vae/diffusion_pytorch_model.safetensors")
    with pytest.raises(UserError, match=r"generate\.tiny_vae: .*/vae has no \.safetensors weights; take a"):
        locate_network(model, "generate.tiny_vae")
    (pipeline / "vae/config.json").unlink()
    with pytest.raises(UserError, match=r"generate\.tiny_vae: .*/vae has no config\.json, so it is not a network"):
        locate_network(model, "generate.tiny_vae")
