"""`diffaug info` reads pictures of other programs, and puts their settings into params.yaml."""

import json
from pathlib import Path

import pytest
from default_params import params
from paths import ROOT
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from settings import jobs

from diffaug.commands.info import Info, read_info, scheduler_of, use_info
from diffaug.dataset.codec import encode_png
from diffaug.diffusion.schedulers import SPACINGS
from diffaug.generation.drawing.pnginfo import SAMPLERS, text_chunks
from diffaug.params import load_params
from diffaug.runtime.errors import UserError

WEBUI = """a red house, (detailed:1.2)
Negative prompt: blurry, text
Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 42, Size: 512x768, Model hash: 6ce0161689, Model: v1-5, \
Denoising strength: 0.35, Clip skip: 2"""
NODES = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
    "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red house", "clip": ["1", 1]}},
    "3": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["1", 1]}},
    "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
    "5": {
        "class_type": "KSampler",
        "inputs": {"seed": 42, "steps": 25, "cfg": 6.5, "sampler_name": "euler_ancestral", "scheduler": "karras"}
        | {"denoise": 1.0, "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0]},
    },
    "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
    "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "x"}},
}
LINKS = [
    [number, int(value[0]), value[1], int(node), 0, kind]
    for number, (node, name, value, kind) in enumerate(
        (node, name, value, {"model": "MODEL", "clip": "CLIP", "vae": "VAE", "latent_image": "LATENT"}.get(name, "X"))
        for node, content in NODES.items()
        for name, value in content["inputs"].items()  # type: ignore[attr-defined]
        if isinstance(value, list)
    )
]


def saved(path: Path, **chunks: str) -> Path:
    info = PngInfo()
    for key, value in chunks.items():
        info.add_text(key, value)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)
    return path


def test_a_picture_of_webui(tmp_path: Path) -> None:
    found = read_info(saved(tmp_path / "a.png", parameters=WEBUI))
    assert found.program == "AUTOMATIC1111"
    assert found.settings == {
        "prompt": "a red house, (detailed:1.2)",
        "negative_prompt": "blurry, text",
        "scheduler": "dpmpp_2m_karras",
        "num_inference_steps": 25,
        "guidance_scale": 6.5,
        "seed": 42,
        "width": 512,
        "height": 768,
        "strength": 0.35,
        "model": "v1-5",
        "model_hash": "6ce0161689",
    }
    assert found.other == {"Clip skip": "2"}


def test_values_that_are_no_numbers_are_shown_as_they_are(tmp_path: Path) -> None:
    odd = WEBUI.replace("CFG scale: 6.5", "CFG scale: high").replace("512x768", "large")
    found = read_info(saved(tmp_path / "a.png", parameters=odd))
    assert found.other["Size"] == "large" and "high" in found.other.values()
    assert "width" not in found.settings and "guidance_scale" not in found.settings


def test_a_picture_of_comfyui(tmp_path: Path) -> None:
    found = read_info(saved(tmp_path / "a.png", prompt=json.dumps(NODES), workflow=json.dumps({"links": LINKS})))
    assert found.program == "ComfyUI"
    given = {key: found.settings[key] for key in ("prompt", "negative_prompt", "scheduler", "seed", "model")}
    assert given == {
        "prompt": "a red house",
        "negative_prompt": "blurry",
        "scheduler": "euler_a_karras",
        "seed": 42,
        "model": "sd15.safetensors",
    }
    assert (found.settings["num_inference_steps"], found.settings["guidance_scale"]) == (25, 6.5)


def test_a_picture_of_our_own(tmp_path: Path) -> None:
    (job,) = jobs(1, "img2img", strength=0.5, eta=1.0, scheduler="dpmpp_2m_karras")
    chunks = text_chunks(job, (32, 32), "./models/a", "f" * 64, None)
    (tmp_path / "a.png").write_bytes(encode_png(Image.new("RGB", (8, 8)), chunks))
    found = read_info(tmp_path / "a.png")
    assert found.program == "diffaug" and found.other == {}
    settings = job.settings
    assert found.settings["scheduler"] == settings.scheduler
    assert (found.settings["strength"], found.settings["eta"], found.settings["seed"]) == (0.5, 1.0, job.seed)
    assert (found.settings["id"], found.settings["model"]) == (job.id, "./models/a")


def test_every_sampler_is_found_again() -> None:
    for ours, name in SAMPLERS.items():
        for spacing in ("", *SPACINGS):
            expected = f"{ours}_{spacing}" if spacing else ours
            assert scheduler_of(name, spacing.capitalize()) == expected
            assert scheduler_of(f"{name} {spacing.capitalize()}".strip(), "") == expected
    assert scheduler_of("PLMS", "") == "pndm" and scheduler_of("uni_pc", "normal") == "unipc"
    assert scheduler_of("Restart", "") is None


def test_what_has_no_counterpart_is_said() -> None:
    lines = Info("WebUI", {"seed": 1}, {"sampler": "Restart"}).lines()
    assert lines == ["drawn by: WebUI", "seed: 1", "sampler: Restart (no counterpart here)"]


def test_its_settings_go_into_params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    info = read_info(saved(tmp_path / "a.png", parameters=WEBUI))
    use_info(info, "generate.cls.modes.img2img")
    mode = load_params().generate.cls.modes.img2img
    assert mode is not None
    assert (mode.scheduler, mode.strength, mode.num_inference_steps) == ("dpmpp_2m_karras", [0.35], 25)
    assert params().generate.guidance_scale != 6.5
    use_info(info, "generate")
    assert load_params().generate.guidance_scale == 6.5


@pytest.mark.parametrize("kind", ["empty", "text", "missing"])
def test_a_picture_that_says_nothing_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    if kind == "empty":
        saved(path)
    elif kind == "text":
        path.write_text("no picture")
    with pytest.raises(UserError, match=r"a\.png") as caught:
        read_info(path)
    assert "\n" not in str(caught.value)
