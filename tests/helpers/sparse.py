"""A checkpoint of full size that takes no disk: its header is real, and all its weights are zero."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from ldm import named
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from diffaug.hub.configs import read_mapping


def networks(folder: Path) -> dict[str, object]:
    """The networks that a folder of configurations describes, without memory for their weights."""
    found: dict[str, object] = {}
    with init_empty_weights():
        found["unet"] = UNet2DConditionModel.from_config(read_mapping(folder / "unet/config.json"))
        found["vae"] = AutoencoderKL.from_config(read_mapping(folder / "vae/config.json"))
        kinds = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
        for name, kind in kinds.items():
            if (folder / name).is_dir():
                found[name] = kind(CLIPTextConfig.from_pretrained(folder / name))
    return found


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of a checkpoint of the configuration in `folder`."""
    return {name: tuple(value.shape) for name, value in named(networks(folder)).items()}


def sparse_file(
    file: Path, tensors: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str] | None = None, **values: Tensor
) -> Path:
    """Write a file of tensors in half precision of these shapes. values: those that are not zero, by the ends of their
    names, with _ in place of dots."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    places, end = {}, 0
    for name, shape in tensors.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
        places |= {key: start for key in values if name.replace(".", "_").endswith(key)}
    text = json.dumps(header).encode()
    with file.open("wb") as handle:
        handle.write(len(text).to_bytes(8, "little") + text)
        handle.truncate(8 + len(text) + end)
        for key, value in values.items():
            handle.seek(8 + len(text) + places[key])
            handle.write(value.half().numpy().tobytes())
    return file
