"""A generator's files with all that is added to them, found and hashed: this names its images, and opens nothing."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from diffaug.diffusion.additions import embedding_sha256
from diffaug.diffusion.loras import lora_sha256
from diffaug.diffusion.networks import find_vae
from diffaug.hub.configs import read_facts
from diffaug.hub.learned import Learned
from diffaug.hub.locate import Located, locate_network, locate_pipeline
from diffaug.params.base import GENERATOR, ModelName
from diffaug.params.generate import Adapter, Embedding, GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import check_seal

BASE_FILE = "base.json"  # stored with a LoRA or a learned word: the model on which it was trained


@dataclass(frozen=True)
class Found:
    """A generator on this disk. `name`: of the pipeline, `adapters`: its LoRAs, `embeddings`: its learned words;
    `sha256`: of its weights and all additions to them; `dtype` and `device`: with which it will be opened; `learned`:
    what train_gen says about it."""

    name: ModelName
    adapters: tuple[Adapter, ...]
    embeddings: tuple[Embedding, ...]
    located: Located
    sha256: str
    dtype: torch.dtype
    device: torch.device
    learned: Learned

    @property
    def label(self) -> str:
        """The usual name of the model, without its LoRAs."""
        return self.located.name

    def refuse_unknown_classes(self, names: Sequence[str]) -> None:
        """Raises UserError if it was trained here on some classes, and `names` has another."""
        known = self.learned.classes
        unknown = [name for name in names if known and name not in known]
        if unknown:
            raise UserError(
                f"params.yaml: generate.model: {self.label} was trained on {', '.join(known)}, but must "
                f"draw {', '.join(unknown)}; name another model, or train one on "
                "images of these classes (train_gen.method: scratch)"
            )


def find_model(params: GenerateParams, device: torch.device) -> Found:
    """The model of the params; a hub's is downloaded. Raises UserError if it is missing, incomplete, or pickled."""
    name, adapters, embeddings = params.model, params.loras, params.embeddings
    trained_here = name.name == GENERATOR
    if trained_here and Path(GENERATOR).is_dir():
        check_seal(Path(GENERATOR))
    if trained_here and (Path(GENERATOR) / BASE_FILE).exists():
        base = read_facts(Path(GENERATOR) / BASE_FILE, ModelName)
        # A folder that came from elsewhere cannot allow itself to run code: only the params can.
        name = base.model_copy(update={"allow_pickle": name.allow_pickle})
        token = Learned.read(Path(GENERATOR)).token
        if token is None:
            adapters = [Adapter(path=GENERATOR, scale=1.0), *adapters]
        else:
            embeddings = [Embedding(path=GENERATOR, token=token), *embeddings]
    located = locate_pipeline(name, "generate.model")
    parts = [located.sha256, *map(embedding_sha256, embeddings), *map(lora_sha256, adapters)]
    parts += [f"vae {find_vae(params.vae, located)}"] if params.vae is not None else []
    parts += [locate_network(params.tiny_vae, "generate.tiny_vae").sha256] if params.tiny_vae is not None else []
    return Found(
        name,
        tuple(adapters),
        tuple(embeddings),
        located,
        parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest(),
        resolve_dtype(params.dtype, device),
        device,
        _learned(Path(GENERATOR) if trained_here else located.path, located.path),
    )


def _learned(folder: Path, base: Path) -> Learned:
    """What the folder states; its pictures are as large as those of its base."""
    learned = Learned.read(folder)
    return learned if folder == base else replace(learned, pixels=Learned.read(base).pixels or learned.pixels)


def resolve_dtype(name: str, device: torch.device) -> torch.dtype:
    """The data type: auto is bfloat16 on a GPU that supports it, float16 on other GPUs, float32 on a CPU."""
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def training_dtype(device: torch.device) -> torch.dtype:
    """The data type of a model that is fine-tuned: bfloat16 if the device supports it, otherwise float32; float16 would
    need a loss scaler."""
    dtype = resolve_dtype("auto", device)
    return dtype if dtype is torch.bfloat16 else torch.float32
