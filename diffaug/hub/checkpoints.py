"""Checkpoints of WebUI and ComfyUI, one file of weights each: what they are, and the configuration that they lack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import infer_diffusers_model_type
from safetensors import SafetensorError, safe_open
from tokenizers.pre_tokenizers import ByteLevel

from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.work import work_folder

_HERE = Path(__file__).parent / "carried"
CARRIED = tuple(sorted(path.stem for path in _HERE.glob("*.json")))
# From the library's name of an architecture to ours.
_KINDS = {
    "v1": "sd1",
    "inpainting": "sd1_inpainting",
    "v2": "sd2",
    "inpainting_v2": "sd2_inpainting",
    "xl_base": "sdxl",
    "xl_inpaint": "sdxl_inpainting",
}
# Their configurations are not carried: they have other tokenizers, and licences that have to be accepted on the hub.
_ON_HUB = {
    "sd3": ("stabilityai/stable-diffusion-3-medium-diffusers", "ea42f8cef0f178587cf766dc8129abd379c90671"),
    "sd35_medium": ("stabilityai/stable-diffusion-3.5-medium", "b940f670f0eda2d07fbb75229e779da1ad11eb80"),
    "sd35_large": ("stabilityai/stable-diffusion-3.5-large", "ceddf0a7fdf2064ea28e2213e3b84e4afa170a0f"),
    "flux-dev": ("black-forest-labs/FLUX.1-dev", "3de623fc3c33e44ffbe2bad470d0f45bccf2eb21"),
    "flux-schnell": ("black-forest-labs/FLUX.1-schnell", "741f7c3ce8b383c54771c7003378a50191e9efe9"),
}
_UNET = "model.diffusion_model."
_OTHER_NOISE = "edm_vpred.sigma_max"  # of CosXL, an SDXL with another noise schedule
_TEXT = ("cond_stage_model.", "conditioner.embedders.")
# Its spread tells the two kinds of Stable Diffusion 2 apart; ComfyUI decides by it, at this value.
_TELLING = f"{_UNET}output_blocks.11.1.transformer_blocks.0.norm1.bias"
_VELOCITY_SPREAD = 0.09


@dataclass(frozen=True)
class Checkpoint:
    """What a file was recognised as: the name of a carried configuration, and a line on what was assumed, if it was."""

    kind: str
    note: str | None = None


def recognise(path: Path, key: str) -> Checkpoint:
    """What a .safetensors checkpoint is, by the names and shapes of its tensors. `key`: the parameter that names it.

    Raises UserError if it is damaged, of an unknown architecture, or of one whose configuration is not carried.
    """
    where = f"params.yaml: {key}: {path}"
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            said = (file.metadata() or {}).get("modelspec.prediction_type")
            telling = file.get_tensor(_TELLING).float() if _TELLING in shapes else None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{where} is damaged, or not a .safetensors file ({error}); fetch it again") from None
    kind = "" if _OTHER_NOISE in shapes else _KINDS.get(_library_name(shapes, where), "")
    if not kind or not _fits(kind, shapes):
        raise UserError(f"{where} {_unknown(shapes)}")
    if not any(name.startswith(_TEXT) for name in shapes):
        raise UserError(f"{where} has no text encoder, only a part of the model; take the whole checkpoint")
    return _with_prediction(kind, shapes, said, telling, f"{key}: {path.name}")


def carried_folder(name: str) -> Path:
    """A folder in the hub's layout with the carried configuration of this name, made in the work folder."""
    folder = work_folder("configurations") / name
    merges = (_HERE / "merges.txt").read_text(encoding="utf-8")
    files: dict[str, str] = {}
    for file, content in _read(name).items():
        files[file] = json.dumps(content, indent=2)
        if file.startswith("tokenizer"):
            part = file.partition("/")[0]
            files[f"{part}/merges.txt"] = merges
            files[f"{part}/vocab.json"] = json.dumps(_vocabulary(merges), ensure_ascii=False)
    for file, text in files.items():
        path = folder / file
        if not path.is_file() or path.read_bytes() != text.encode():
            with atomic_path(path) as temporary:
                temporary.write_bytes(text.encode())
    return folder


def _read(name: str) -> dict[str, Any]:
    return json.loads((_HERE / f"{name}.json").read_text(encoding="utf-8"))


def _vocabulary(merges: str) -> dict[str, int]:
    """CLIP's numbers of its tokens: 256 bytes, the same as ends of words, what is merged in order, two marks."""
    signs = sorted(ByteLevel.alphabet())
    merged = [line.replace(" ", "") for line in merges.splitlines()[1:]]
    tokens = [*signs, *(f"{sign}</w>" for sign in signs), *merged, "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}


def _library_name(shapes: Mapping[str, tuple[int, ...]], where: str) -> str:
    """The library's name of the architecture; "v1" also stands for all that it does not know."""
    try:
        name = infer_diffusers_model_type({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
    except (AttributeError, IndexError, KeyError, RuntimeError, UnboundLocalError, ValueError):  # of no known shape
        return ""
    if name == "xl_refiner":
        raise UserError(
            f"{where} is SDXL's refiner, which only finishes what the base model drew; take a checkpoint of the base "
            "model"
        )
    if name in _ON_HUB:
        repository, commit = _ON_HUB[name]
        raise UserError(
            f"{where} is a checkpoint like {repository}, whose configuration is not carried; name the whole model, "
            f"{{name: {repository}, revision: {commit}}}, or, if the file has the text encoders too, add config: "
            f"{repository}@{commit}"
        )
    return name


def _fits(kind: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the U-Net of the file is as wide, at its input and at its text, as this configuration says."""
    unet = _read(kind)["unet/config.json"]
    first = shapes.get(f"{_UNET}input_blocks.0.0.weight", ())
    keys = [name for name in shapes if name.startswith(_UNET) and name.endswith("attn2.to_k.weight")]
    widths = {shapes[name][-1] for name in keys}
    return first[:2] == (unet["block_out_channels"][0], unet["in_channels"]) and widths == {unet["cross_attention_dim"]}


def _unknown(shapes: Mapping[str, tuple[int, ...]]) -> str:
    if any(".lora_" in name or name.startswith("lora_") for name in shapes):
        return "is a LoRA, no model; name it in generate.loras"
    if not any(name.startswith(_UNET) for name in shapes):
        return "is no checkpoint of WebUI: it has no tensor model.diffusion_model.*; take a whole checkpoint"
    return (
        f"is of an architecture that is not known here; add config: a folder or owner/model@commit of the same "
        f"architecture, or one of {', '.join(CARRIED)}"
    )


def _with_prediction(
    kind: str, shapes: Mapping[str, Any], said: str | None, telling: torch.Tensor | None, where: str
) -> Checkpoint:
    """The kind, with what its U-Net predicts: the noise (epsilon), or the velocity (v).

    Trainers that write it state it in the metadata (modelspec.prediction_type), or by empty tensors named v_pred and
    ztsnr (noise alone at the last step).
    """
    if "inpainting" in kind:
        return Checkpoint(kind)
    if "v_pred" in shapes or said in ("v", "v_prediction"):
        zero = "_zsnr" if kind == "sdxl" and "ztsnr" in shapes else ""
        return Checkpoint(f"{kind}_v{zero}")
    if kind != "sd2" or said == "epsilon" or telling is None:
        return Checkpoint(kind)
    velocity = telling.std(correction=0).item() > _VELOCITY_SPREAD
    read, other = ("sd2_v", "sd2") if velocity else ("sd2", "sd2_v")
    words = {"sd2": "base, at 512 pixels", "sd2_v": "at 768 pixels, which predicts the velocity"}
    return Checkpoint(
        read,
        f"{where} does not say which Stable Diffusion 2 it is; read as {words[read]}; if its pictures are only noise, "
        f"add config: {other}",
    )
