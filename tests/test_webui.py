"""The examples of docs/webui.md, in both languages, and the preset: small models in WebUI's folders open and draw."""

import re
from pathlib import Path
from typing import Any

import pytest
import small_models
import torch
import yaml
from diffusers import ControlNetModel
from ldm import controlnet_tensors, save_checkpoint, vae_tensors
from paths import ROOT
from safetensors.torch import save_file
from settings import jobs, params, source

from diffaug.commands.use import params_with
from diffaug.diffusion.opening import open_model
from diffaug.generation.drawing.sampler import open_sampler
from diffaug.params.generate import GenerateParams

CPU = torch.device("cpu")
PRESET = ROOT / "presets/webui_checkpoint.yaml"
ENGLISH, CHINESE = ((ROOT / "docs" / name).read_text("utf-8") for name in ("webui.md", "webui.zh-CN.md"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def with_block(tmp_path: Path, content: dict[str, Any]) -> GenerateParams:
    (tmp_path / "block.yaml").write_text(yaml.dump(content))
    return params_with(tmp_path / "block.yaml", ROOT / "params.yaml").generate


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with WebUI's folders: the files that the page names, of a small Stable Diffusion 1."""
    for variable in ("HOME", "USERPROFILE"):  # of POSIX, of Windows
        monkeypatch.setenv(variable, str(tmp_path))
    folder = small_models.stable_diffusion(tmp_path / "configuration")
    pipeline = open_model(params(folder), CPU).pipeline
    lora = "lora_unet_mid_block_attentions_0_proj_in"
    for path in re.findall(r"~/(stable-diffusion-webui/[\w./-]+\.safetensors)", ENGLISH):
        file = tmp_path / path
        file.parent.mkdir(parents=True)
        match file.parent.name:
            case "Stable-diffusion":
                save_checkpoint(folder, file)
            case "Lora":
                weight = pipeline.unet.mid_block.attentions[0].proj_in.weight
                ends = {"lora_down.weight": weight[:1], "lora_up.weight": weight[:, :1], "alpha": torch.tensor(1.0)}
                save_file({f"{lora}.{end}": value.detach().clone() for end, value in ends.items()}, file)
            case "VAE":
                save_file({key: value.contiguous() for key, value in vae_tensors(pipeline.vae).items()}, file)
            case "embeddings":
                save_file({"emb_params": torch.randn(2, 16)}, file)
            case "ControlNet":
                save_file(controlnet_tensors(ControlNetModel.from_unet(pipeline.unet)), file)
    return folder


def test_both_languages_have_the_same_examples() -> None:
    for language in ("yaml", "sh"):
        english, chinese = (
            [re.sub(r"\s+#.*", "", one) for one in blocks(text, language)] for text in (ENGLISH, CHINESE)
        )
        assert english == chinese != []
    names = {text: re.findall(r"`(sd\w+)`", text) for text in (ENGLISH, CHINESE)}
    assert names[ENGLISH] == names[CHINESE]


def test_the_examples_open_and_draw(home: Path, tmp_path: Path) -> None:
    """All of them at once, on a checkpoint that is too small to be recognised."""
    together: dict[str, Any] = {}
    for block in map(yaml.safe_load, blocks(ENGLISH, "yaml")):
        together |= block.pop("generate")
        if block:
            assert block == {"download": {"unseen_by": None}}
            with_block(tmp_path, block | {"generate": {"model": together["model"]}})
    together["model"]["config"] = str(home)
    sampler = open_sampler(with_block(tmp_path, {"download": {"unseen_by": None}, "generate": together}), CPU)
    assert [re.sub(r"/\S*/", "", note) for note in sampler.model.notes] == [
        "generate.embeddings: my-style.safetensors: 1 of 1 text encoders fit StableDiffusionPipeline",
        "generate.loras: name.safetensors: 1 of 1 modules fit StableDiffusionPipeline",
    ]
    # A ControlNet's picture is always eight times as large as the latent; the small model's is four times.
    assert sampler.control is not None
    drawn = sampler.draw(jobs(1), {})
    assert drawn.images()[0].size == (16, 16)


def test_the_preset_draws_with_its_settings(home: Path, tmp_path: Path) -> None:
    found = params_with(PRESET, ROOT / "params.yaml").generate
    assert Path(found.model.name).expanduser().is_file() and found.model.config is None
    preset = yaml.safe_load(PRESET.read_text())
    preset["generate"]["model"]["config"] = str(home)
    found = with_block(tmp_path, preset)
    sampler = open_sampler(found, CPU)
    chosen = {key: getattr(found, key) for key in ("scheduler", "num_inference_steps", "guidance_scale")}
    for mode, given in (("txt2img", {}), ("img2img", {"strength": 0.5})):
        plan = jobs(1, mode=mode, **chosen, **given)
        sampler.check(plan)
        drawn = sampler.draw(plan, {"wide": source()})
        assert drawn.images()[0].size == (16, 16)
