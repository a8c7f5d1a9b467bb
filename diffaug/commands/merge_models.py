"""`diffaug merge-models`: two checkpoints as one, tensor by tensor, as WebUI's Checkpoint Merger does."""

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm import tqdm

from diffaug.hub.licence import card_licence
from diffaug.hub.parts import INDEX
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_CARD = "README.md"
# Of a pipeline folder, what is not merged: other formats of the weights, and what says where the folder is from.
_OTHERS = ("*.bin", "*.ckpt", "*.msgpack", "*.onnx", "*.pb", ".git*", _CARD, ".sha256")
_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def merge_models(a: Path, b: Path, base: Path | None, alpha: float, out: Path) -> str:
    """Write (1 - alpha) A + alpha B or, with a base C, A + alpha (B - C); returns what to know, line by line.

    All are single .safetensors files, or folders in the hub's layout. Sums are taken in float32 and rounded to the data
    type of A; memory is that of one tensor. A tensor that B (or C) lacks is A's. Raises UserError if shapes differ.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"merge-models: --alpha: found {alpha:g}; allowed is 0 (all of A) to 1 (all of B)")
    models = [a, b, *([base] if base is not None else [])]
    for path in models:
        if not path.exists():
            raise UserError(f"{path}: does not exist; give a .safetensors file, or a folder with {INDEX}")
    if len({path.is_dir() for path in models}) > 1:
        raise UserError(
            f"merge-models: {a} is a {_kind(a)} and {b} a {_kind(b)}; all models must be of one kind (`diffaug export` "
            "writes folders)"
        )
    if out.exists():
        raise UserError(f"{out}: exists already; remove it, or choose another name")
    if a.is_dir():
        return _merge_folders(models, alpha, out)
    if out.suffix != ".safetensors":
        raise UserError(f"{out}: must end with .safetensors, as the models do")
    with Tensors(a, [a]) as first, ExitStack() as stack:
        others = [stack.enter_context(Tensors(path, [path])) for path in models[1:]]
        kept = merge_file(first, a, others, alpha, out, {"merged": _recipe(models, alpha)})
    return "\n".join([f"{out}: {_recipe(models, alpha)}", *_said(kept, a)])


class Tensors:
    """The tensors of a model's files by name, one at a time. Raises UserError if a file is damaged."""

    def __init__(self, model: Path, files: list[Path]) -> None:
        self._model, self._files, self._stack = model, files, ExitStack()
        self._place: dict[str, Any] = {}

    def __enter__(self) -> "Tensors":
        for path in self._files:
            try:
                opened = self._stack.enter_context(safe_open(path, framework="pt"))
            except (SafetensorError, OSError) as error:
                raise UserError(f"{path}: not readable as .safetensors ({error}); fetch it again") from None
            self._place |= dict.fromkeys(opened.keys(), opened)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __contains__(self, name: str) -> bool:
        return name in self._place

    def __getitem__(self, name: str) -> Tensor:
        return self._place[name].get_tensor(name)

    def names_in(self, file: Path) -> list[str]:
        """The names of the tensors of one of the files."""
        with safe_open(file, framework="pt") as opened:
            return sorted(opened.keys())

    def __str__(self) -> str:
        return str(self._model)


def merge_file(
    first: Tensors, file: Path, others: list[Tensors], alpha: float, out: Path, about: Mapping[str, str]
) -> list[str]:
    """Write the merged tensors of a file of the first model; returns the names of those that are only in it. about: for
    the file's metadata. Raises UserError if none is common, or a shape differs."""
    names = first.names_in(file)
    alone = [name for name in names if any(name not in other for other in others)]
    if names and len(alone) == len(names):
        raise UserError(f"{others[0]}: has no tensor of {file.name} of {first}; merge models of the same kind")

    shapes = {name: (value.shape, value.dtype) for name in names for value in [first[name]]}
    with atomic_path(out) as temporary, temporary.open("wb") as handle:
        _write_head(handle, file, shapes, about)
        for name in tqdm(names, desc=f"merge {file.name}", unit="tensor", mininterval=1.0, leave=False):
            value = first[name] if name in alone else _sum(name, first, others, alpha)
            handle.write(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return alone


def _sum(name: str, first: Tensors, others: list[Tensors], alpha: float) -> Tensor:
    own = first[name]
    values = [other[name] for other in others]
    for other, value in zip(others, values):
        if value.shape != own.shape:
            raise UserError(
                f"{other}: {name} has the shape {list(value.shape)}, and that of {first} {list(own.shape)}; merge "
                "models of the same kind"
            )
    if not own.is_floating_point():
        return own
    b = values[0].float()
    c = values[1].float() if len(values) > 1 else own.float()
    return (own.float() + alpha * (b - c)).to(own.dtype)


def _write_head(
    handle: BinaryIO, file: Path, shapes: Mapping[str, tuple[Any, torch.dtype]], about: Mapping[str, str]
) -> None:
    """The head of a .safetensors file (its documentation, section Format)."""
    head: dict[str, Any] = {"__metadata__": {"format": "pt", **about}}
    end = 0
    for name, (shape, dtype) in shapes.items():
        if dtype not in _CODES:
            raise UserError(f"{file}: {name} has numbers of type {dtype}, which are not merged; take other weights")
        start, end = end, end + shape.numel() * dtype.itemsize
        head[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    handle.write(len(text).to_bytes(8, "little") + text)


def _merge_folders(models: list[Path], alpha: float, out: Path) -> str:
    for path in models:
        if not (path / INDEX).is_file():
            raise UserError(f"{path}: has no {INDEX}, so it is not a pipeline in the hub's layout")
    lines, recipe = [], _recipe(models, alpha)
    left_out = shutil.ignore_patterns("*.safetensors", *_OTHERS)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=_existing(out.parent)) as temporary:
        place = Path(temporary) / out.name
        shutil.copytree(models[0], place, ignore=left_out)
        # What lies beside the parts, such as the hashes of what one of them has seen, is not of the merged model.
        for part in sorted({file.parent for file in models[0].glob("*/*.safetensors")}):
            relative = part.relative_to(models[0])
            files = [_weights(model / relative) for model in models]
            with ExitStack() as stack:
                first, *others = (
                    stack.enter_context(Tensors(model, found)) for model, found in zip(models, files, strict=True)
                )
                if not all(files):  # such as a safety checker
                    lines.append(f"{relative} is not in all of them, and stays as it is in {models[0].name}")
                    for file in files[0]:
                        shutil.copy(file, place / relative / file.name)
                    continue
                for file in files[0]:
                    kept = merge_file(first, file, others, alpha, place / relative / file.name, {})
                    lines += _said(kept, models[0])
        (place / _CARD).write_text(_card(models, recipe), encoding="utf-8")
        place.rename(out)
    return "\n".join([f"{out}: {recipe}", *dict.fromkeys(lines)])


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _weights(part: Path) -> list[Path]:
    """The weights of a part; those of a variant only if there are no others."""
    files = sorted(part.glob("*.safetensors"))
    plain = [path for path in files if path.name.count(".") == 1]
    return plain or files


def _recipe(models: list[Path], alpha: float) -> str:
    names = [path.name for path in models]
    if len(models) == 2:
        return f"{1 - alpha:g} x {names[0]} + {alpha:g} x {names[1]}"
    return f"{names[0]} + {alpha:g} x ({names[1]} - {names[2]})"


def _card(models: list[Path], recipe: str) -> str:
    licences = {}
    for path in models:
        card = path / _CARD
        licences[path.name] = (card_licence(card) if card.is_file() else None) or "not stated"
    rows = "\n".join(f"- {name}: {licence}" for name, licence in licences.items())
    same = set(licences.values())
    head = f"---\nlicense: {same.pop()}\n---\n\n" if len(same) == 1 and "not stated" not in same else ""
    return f"{head}# Merged model\n\n{recipe}\n\nLicences of its parents, all of which apply:\n\n{rows}\n"


def _said(kept: list[str], a: Path) -> list[str]:
    return [f"{len(kept)} tensors are in {a.name} alone, and stay as they are there: {kept[0]}, ..."] if kept else []


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"
