"""How much memory a pre-trained generator needs, from its configurations and the heads of its weight files, and what
to set if that is too much. Nothing is opened, so the answer comes at once.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from diffaug.hub.configs import read_mapping
from diffaug.hub.locate import files_here, folder_here, loaded_files
from diffaug.hub.parts import CONFIG
from diffaug.params import Params
from diffaug.params.base import GENERATOR, ModelName
from diffaug.params.generate import GenerateParams
from diffaug.params.memory import MemoryParams
from diffaug.runtime import cores
from diffaug.runtime.errors import UserError
from diffaug.runtime.hardware import smallest_card

# What a network holds at its peak, in numbers for every cell of its image: the sizes of all live tensors of Stable
# Diffusion 1.5 and XL, which are the same on any device (benchmarks/full_size.py measures both models as a whole).
_DECODER = 3.0  # times the VAE's second width
_ATTENTION, _PLAIN = 20.0, 10.0  # times the width of a U-Net's level with attention, and without
_LIBRARIES = 0.5 * 2**30  # bytes that CUDA and cuDNN, or oneDNN on a CPU, hold besides the tensors
_SMALL = 2**30  # bytes; what needs less is not worth a line
_USABLE = 0.92  # of a card's memory: screens and other programs hold some
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# A single file's networks, by the beginnings of their tensors' names; others, such as averaged weights, are not opened.
_IN_FILE = {
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_model.": "text_encoder",
    "conditioner.": "text_encoder",
}


@dataclass(frozen=True)
class ModelMemory:
    """Bytes. weights: by network; denoiser: what the U-Net computes for a batch; decoder: the same of the VAE for an
    image; pixels: of an image; images: of a batch."""

    weights: Mapping[str, int]
    denoiser: int
    decoder: int
    pixels: int
    images: int

    def peak(self, memory: MemoryParams) -> int:
        """The most that the device holds while a batch is drawn."""
        single = memory.slices(self.images * self.pixels) or memory.vae_tiling
        work = {"vae": self.decoder * (1 if single else self.images), "unet": self.denoiser}
        if memory.offload == "model":
            alone = {name: size for name, size in self.weights.items() if name != "controlnet"}
            alone["unet"] = alone.get("unet", 0) + self.weights.get("controlnet", 0)  # the library does not move it
            return round(max(size + work.get(name, 0) for name, size in alone.items()) + _LIBRARIES)
        held = self.weights if memory.offload == "none" else {"vae": self.weights.get("vae", 0)}
        return round(sum(held.values()) + max(work.values()) + _LIBRARIES)


def memory_lines(params: Params) -> list[str]:
    """What the generator needs on this machine's card or CPU, and what to set if it is too much; none if it is small,
    or not on this disk. Raises UserError if its files are damaged."""
    generate, card = params.generate, smallest_card()
    model = generate.model
    if model.name == GENERATOR:
        if params.train_gen.tuned is None:
            return []
        model = params.train_gen.tuned.model
    dtype = generate.dtype if generate.dtype != "auto" else "float32" if card is None else "bfloat16"

    def peak(chosen: GenerateParams) -> int:
        found = model_memory(chosen, model, dtype)
        memory = chosen.memory if card is not None else chosen.memory.model_copy(update={"offload": "none"})
        return found.peak(memory) if found is not None else 0  # on a CPU, nothing can be moved away

    needed, have = peak(generate), cores.memory() if card is None else card
    if needed < _SMALL:
        return []
    said = f"generate.model: about {_gib(needed)} of memory for a batch of {generate.batch_size}"
    if needed <= _USABLE * have:
        return [said]
    where = "this machine" if card is None else "the card"
    for words, chosen in _ways(generate, card is not None):
        if (less := peak(chosen)) <= _USABLE * have:
            return [f"note: {said}, but {where} has {_gib(have)}; with {words} about {_gib(less)}"]
    return [f"note: {said}, but {where} has {_gib(have)}; take a smaller model, or smaller height and width"]


def _ways(generate: GenerateParams, card: bool) -> Iterator[tuple[str, GenerateParams]]:
    """Settings that need less memory, in words and as params; those that cost the least time come first."""
    memory = generate.memory
    sizes = [generate.batch_size // 2**n for n in range(1, 8) if generate.batch_size >= 2**n]
    movable = card and not generate.compile  # what is compiled cannot wait elsewhere
    kinds: list[dict[str, Any]] = [{}]
    kinds += [{"offload": "model"}] if movable and memory.offload == "none" else []
    kinds += [{"quantize": "int8"}] if memory.quantize is None else []
    kinds += [{"offload": "model", "quantize": "int8"}, {"offload": "group", "vae_tiling": True}] if movable else []
    for kind in kinds:
        for size in [generate.batch_size, *sizes] if kind else sizes:
            words = [f"memory.{key}: {str(value).lower()}" for key, value in kind.items()]
            words += [f"batch_size: {size}"] if size != generate.batch_size else []
            changed = {"memory": memory.model_copy(update=kind), "batch_size": size}
            yield " and ".join(words), generate.model_copy(update=changed)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def model_memory(params: GenerateParams, model: ModelName, dtype: str) -> ModelMemory | None:
    """Of a model for generate with what is added to it; None if its files are not all on this disk, or its kind was not
    measured. dtype: with which it is opened, such as float16. Raises UserError if the files are damaged."""
    here = files_here(model, "generate.model")
    if here is None or not _is_known(here[0]):
        return None
    folder, files = here
    wide = _BYTES[dtype]
    weights = _weights(files, model.is_file, wide, params.memory.quantize is not None)
    vae = folder / "vae"
    if params.tiny_vae is not None and (tiny := folder_here(params.tiny_vae, CONFIG)) is not None:
        vae, weights["vae"] = tiny, wide * _count(loaded_files(tiny, params.tiny_vae.variant))
    # The library decodes in float32 with a VAE that overflows in float16.
    wide_vae = 4 if dtype == "float16" and _stated(vae).get("force_upcast") else wide
    weights["vae"] = weights.get("vae", 0) * wide_vae // wide
    width, height = _size(params, folder)
    rows = params.batch_size * (2 if params.guidance_scale > 1 else 1)
    denoiser, skips = _denoiser(folder, width * height // _factor(folder) ** 2)
    controlnet = params.cls.modes.controlnet
    if controlnet is not None:
        found = None if controlnet.model.is_file else folder_here(controlnet.model, CONFIG)
        own = _count(loaded_files(found, controlnet.model.variant)) if found is not None else 0
        weights["controlnet"] = wide * own or weights.get("unet", 0) * 2 // 5
        denoiser += skips
    widths = _stated(vae).get("block_out_channels") or _stated(vae).get("decoder_block_out_channels") or [0]
    decoder = _DECODER * widths[min(1, len(widths) - 1)] * width * height
    return ModelMemory(
        weights, round(wide * rows * denoiser), round(wide_vae * decoder), width * height, params.batch_size
    )


def _is_known(folder: Path) -> bool:
    """Whether the numbers above are of this kind of model."""
    unet, vae = _stated(folder / "unet"), _stated(folder / "vae")
    plain = isinstance(unet.get("layers_per_block", 2), int) and isinstance(unet.get("sample_size"), int)
    named = (unet.get("_class_name"), vae.get("_class_name")) == ("UNet2DConditionModel", "AutoencoderKL")
    return named and plain and bool(unet.get("block_out_channels")) and bool(unet.get("down_block_types"))


def _denoiser(folder: Path, cells: int) -> tuple[float, float]:
    """The numbers that the U-Net holds at its peak for one row of a batch, and those of them that its way up takes over
    from its way down."""
    unet = _stated(folder / "unet")
    widths, kinds, layers = unet["block_out_channels"], unet["down_block_types"], unet.get("layers_per_block", 2)
    shares = [width / 4**level for level, width in enumerate(widths)]
    skips = widths[0] + sum(layers * share for share in shares) + sum(share / 4 for share in shares[:-1])
    busiest = max((_ATTENTION if "Attn" in kind else _PLAIN) * share for kind, share in zip(kinds, shares))
    return cells * (skips + busiest), cells * skips


def _size(params: GenerateParams, folder: Path) -> tuple[int, int]:
    """(width, height) in pixels of what is drawn."""
    own = _stated(folder / "unet")["sample_size"] * _factor(folder)
    return params.width or own, params.height or own


def _factor(folder: Path) -> int:
    """Pixels of an image beside one cell of its latent."""
    return 2 ** (len(_stated(folder / "vae").get("block_out_channels", [0] * 4)) - 1)


def _stated(part: Path) -> Mapping[str, Any]:
    return read_mapping(part / CONFIG) if (part / CONFIG).is_file() else {}


def _weights(files: Iterable[Path], single: bool, wide: int, int8: bool) -> dict[str, int]:
    """Bytes by network; with int8, a number of a linear layer of the U-Net or a text encoder takes one."""
    found: dict[str, int] = {}
    for path in (one for one in files if one.suffix == ".safetensors"):
        for name, shape in _head(path).items():
            network = path.parent.name
            if single:
                network = next((part for begin, part in _IN_FILE.items() if name.startswith(begin)), "")
            if network:
                narrow = int8 and network != "vae" and len(shape) == 2 and "embedding" not in name
                found[network] = found.get(network, 0) + math.prod(shape) * (1 if narrow else wide)
    return found


def _count(files: Iterable[Path]) -> int:
    heads = (_head(path) for path in files if path.suffix == ".safetensors")
    return sum(math.prod(shape) for head in heads for shape in head.values())


def _head(path: Path) -> dict[str, list[int]]:
    """The shapes of the tensors of a .safetensors file."""
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}); fetch it again") from None
