import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_models
import torch
from ldm import checkpoint_tensors, save_checkpoint
from safetensors.torch import save_file
from settings import params

from diffaug.diffusion.finding import resolve_dtype, training_dtype
from diffaug.diffusion.opening import open_model
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.stable_diffusion(tmp_path_factory.mktemp("models") / "sd")


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def drawn(prompt: str, **changes: Any) -> np.ndarray:
    pipeline = open_model(params(**changes), CPU).pipeline
    generator = torch.Generator().manual_seed(0)
    return pipeline(prompt, num_inference_steps=2, generator=generator, output_type="np").images


def test_a_single_file_draws_what_its_folder_draws(folder: Path, tmp_path: Path) -> None:
    file = save_checkpoint(folder, tmp_path / "model.safetensors")
    model = {"name": str(file), "config": str(folder)}
    expected = drawn("a photo of a cat", model={"name": str(folder)})
    assert np.abs(drawn("a photo of a cat", model=model) - expected).max() < 1e-5
    opened = open_model(params(model=model), CPU)
    assert (opened.found.label, opened.found.located.revision, len(opened.found.sha256)) == (
        "model.safetensors",
        None,
        64,
    )


@pytest.mark.parametrize("layout", ["sdxl", "sd2"])
def test_other_layouts_draw_what_their_folder_draws(tmp_path: Path, layout: str) -> None:
    if layout == "sdxl":
        folder = small_models.sdxl(tmp_path / "model", second=24)  # told apart by their widths
    else:
        folder = small_models.stable_diffusion(tmp_path / "model")
        edit(folder / "text_encoder/config.json", hidden_act="gelu")  # as open_clip's, whose names such a file has
    file = save_checkpoint(folder, tmp_path / "model.safetensors")
    expected = drawn("a photo of a cat", model={"name": str(folder)})
    found = drawn("a photo of a cat", model={"name": str(file), "config": str(folder)})
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize(("part", "named"), [("first", "AutoencoderKL"), ("cond", "CLIPTextModel"), ("model", "UNet")])
def test_a_file_without_a_part_names_it(folder: Path, tmp_path: Path, part: str, named: str) -> None:
    tensors = {key: value for key, value in checkpoint_tensors(folder).items() if not key.startswith(part)}
    save_file(tensors, tmp_path / "part.safetensors")
    with pytest.raises(UserError, match=rf"part\.safetensors has no weights for {named}\w*; take a checkpoint of the"):
        open_model(params(model={"name": str(tmp_path / "part.safetensors"), "config": str(folder)}), CPU)


def test_a_single_file_without_a_configuration_or_pickled_is_refused(folder: Path, tmp_path: Path) -> None:
    file = save_checkpoint(folder, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"is of an architecture that is not known here; add config: a folder or "):
        open_model(params(model={"name": str(file)}), CPU)
    (tmp_path / "old.ckpt").write_bytes(b"")
    with pytest.raises(UserError, match=r"old\.ckpt is pickled"):
        open_model(params(model={"name": str(tmp_path / "old.ckpt"), "config": str(folder)}), CPU)
    save_file({"nothing": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(UserError, match=r"odd\.safetensors has no weights for CLIPTextModel; take a checkpoint of"):
        open_model(params(model={"name": str(tmp_path / "odd.safetensors"), "config": str(folder)}), CPU)


def test_an_embedding_gives_its_word_a_meaning(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file({"<my-cat>": torch.randn(16)}, tmp_path / "cat.safetensors")
    model = {"name": str(folder)}
    taught = {"embeddings": [{"path": str(tmp_path / "cat.safetensors"), "token": "<my-cat>"}]}
    assert not np.array_equal(drawn("a <my-cat>", model=model, **taught), drawn("a <my-cat>", model=model))
    assert (
        open_model(params(model=model, **taught), CPU).found.sha256 != open_model(params(model=model), CPU).found.sha256
    )
    save_file({"<my-cat>": torch.randn(17)}, tmp_path / "wide.safetensors")
    with pytest.raises(UserError, match=r"wide\.safetensors does not fit"):
        open_model(
            params(model=model, embeddings=[{"path": str(tmp_path / "wide.safetensors"), "token": "<wide>"}]), CPU
        )


def test_sdxl_embeddings_go_to_both_text_encoders(tmp_path: Path) -> None:
    model = {"name": str(small_models.sdxl(tmp_path / "sdxl"))}
    save_file({"clip_l": torch.ones(16), "clip_g": torch.ones(16)}, tmp_path / "both.safetensors")
    pipeline = open_model(
        params(model=model, embeddings=[{"path": str(tmp_path / "both.safetensors"), "token": "<x>"}]), CPU
    ).pipeline
    for encoder, tokenizer in [("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")]:
        number = getattr(pipeline, tokenizer).convert_tokens_to_ids("<x>")
        assert getattr(pipeline, encoder).get_input_embeddings().weight[number].tolist() == [1.0] * 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loras": [{"path": "./none", "scale": 1.0}]}, r"generate\.loras: none does not exist"),
        ({"loras": [{"path": "./bad.safetensors", "scale": 1.0}]}, r"bad\.safetensors does not fit"),
        ({"loras": [{"path": "./old.bin", "scale": 1.0}]}, r"old\.bin is not a \.safetensors file"),
        ({"embeddings": [{"path": "./none", "token": "x"}]}, r"generate\.embeddings: none does not exist"),
        ({"tiny_vae": {"name": "./none"}}, r"generate\.tiny_vae: none is not a folder"),
    ],
)
def test_what_does_not_fit_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"unet.nothing.lora_A.weight": torch.zeros(1, 1)}, tmp_path / "bad.safetensors")
    (tmp_path / "old.bin").write_bytes(b"")
    with pytest.raises(UserError, match=message) as caught:
        open_model(params(model={"name": str(folder)}, **changes), CPU)
    assert "\n" not in str(caught.value)


def test_arithmetic_by_name_and_by_device() -> None:
    assert resolve_dtype("auto", CPU) is torch.float32
    assert resolve_dtype("bfloat16", CPU) is torch.bfloat16
    apple = torch.device("mps")
    assert resolve_dtype("auto", apple) is torch.float16
    assert training_dtype(apple) is training_dtype(CPU) is torch.float32  # float16 would need a loss scaler
    with torch.autocast("mps", dtype=torch.bfloat16, enabled=False):  # as in LoRA training
        pass
