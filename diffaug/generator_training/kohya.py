"""A trained LoRA as one file with the names of kohya's trainer, which WebUI and ComfyUI read."""

import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from diffaug.diffusion.finding import BASE_FILE
from diffaug.diffusion.lora_names import kohya_name
from diffaug.diffusion.loras import LORA_FILE
from diffaug.hub.configs import read_facts, read_mapping
from diffaug.hub.locate import files_here
from diffaug.hub.parts import INDEX
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.seals import SEAL, check_seal

# The beginning of the pipeline's class, and by what WebUI tells that a LoRA is for such a model. safetensors writes
# several keys in random order, so it is one.
_VERSIONS = {
    "StableDiffusionXL": {"ss_base_model_version": "sdxl_base_v1-0"},
    "StableDiffusion": {"ss_base_model_version": "sd_v1"},
}
_SD2 = {"ss_v2": "True"}
_SD2_TEXT = 1024  # the width of the text of Stable Diffusion 2
_KEY = re.compile(r"(\w+?)\.(.+)\.(?:lora|lora_linear_layer)\.(down|up)\.weight")


def write_kohya(source: Path, file: Path) -> None:
    """Write the LoRA in the folder `source`, as train_gen made it, in float32 to a new file.

    Raises UserError if it is damaged, its base model is not on this disk, or not Stable Diffusion 1, 2 or XL.
    """
    if (source / SEAL).exists():
        check_seal(source)
    base = read_facts(source / BASE_FILE, ModelName)
    here = files_here(base, "train_gen.lora.model")
    if here is None:
        raise UserError(
            f"{source}: the configuration of its base model, {base.label}, decides the names of the layers, but is not "
            "on this disk; name the model in train_gen.lora.model and run `diffaug fetch`"
        )
    kind = str(read_mapping(here[0] / INDEX).get("_class_name"))
    said = next((said for name, said in _VERSIONS.items() if kind.startswith(name)), None)
    if said is None or kind.startswith("StableDiffusion3"):
        raise UserError(
            f"{source}: its base model, {base.label}, is a {kind}; kohya's names are those of Stable Diffusion 1, 2 "
            "and XL; use the folder as it is, which diffusers opens"
        )
    unet = read_mapping(here[0] / "unet" / "config.json")
    if unet.get("addition_embed_type") != "text_time" and unet.get("cross_attention_dim") == _SD2_TEXT:
        said = _SD2
    layers = int(unet.get("layers_per_block", 2)) if kind.startswith("StableDiffusionXL") else None
    tensors = {}
    for key, value in load_file(source / LORA_FILE).items():
        match = _KEY.fullmatch(key)
        if match is None:
            raise UserError(f"{source / LORA_FILE}: {key} is not a name that train_gen writes; train it again")
        name = kohya_name(match[1], match[2], layers)
        tensors[f"{name}.lora_{match[3]}.weight"] = value
        if match[3] == "down":  # alpha is in the weights already, so that it is the rank
            tensors[f"{name}.alpha"] = torch.tensor(float(len(value)))
    with atomic_path(file) as temporary:
        save_file(tensors, temporary, metadata=said)
