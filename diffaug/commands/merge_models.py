"""`diffaug merge-models`: two checkpoints as one, tensor by tensor, as WebUI's Checkpoint Merger does."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from torch import Tensor

from diffaug.commands.model_files import (
    Tensors,
    copied_folder,
    licence,
    refuse_target,
    weighted_parts,
    weights,
    write_about,
    write_changed,
)
from diffaug.hub.parts import INDEX
from diffaug.runtime.errors import UserError


def merge_models(a: Path, b: Path, base: Path | None, alpha: float, out: Path) -> str:
    """Write (1 - alpha) A + alpha B or, with a base C, A + alpha (B - C); returns what to know, line by line.

    All are single .safetensors files, or folders in the hub's layout. Sums are taken in float32 and rounded to the data
    type of A; memory is that of one tensor. A tensor that B (or C) lacks is A's. Raises UserError if shapes differ.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"merge-models: --alpha: found {alpha:g}; allowed is 0 (all of A) to 1 (all of B)")
    models = [a, b, *([base] if base is not None else [])]
    for path in models[1:]:
        if not path.exists():
            raise UserError(f"{path}: does not exist; give a .safetensors file, or a folder with {INDEX}")
    refuse_target(a, out)
    if len({path.is_dir() for path in models}) > 1:
        raise UserError(
            f"merge-models: {a} is a {_kind(a)} and {b} a {_kind(b)}; all models must be of one kind (`diffaug export` "
            "writes folders)"
        )
    if a.is_dir():
        return _merge_folders(models, alpha, out)
    with Tensors(a, [a]) as first, ExitStack() as stack:
        others = [stack.enter_context(Tensors(path, [path])) for path in models[1:]]
        kept = _merge_file(first, a, others, alpha, out, {"merged": _recipe(models, alpha)})
    return "\n".join([f"{out}: {_recipe(models, alpha)}", *_said(kept, a)])


def _merge_file(
    first: Tensors, file: Path, others: list[Tensors], alpha: float, out: Path, about: Mapping[str, str]
) -> list[str]:
    """Write the merged tensors of a file of the first model; returns the names of those that are only in it. about: for
    the file's metadata. Raises UserError if none is common, or a shape differs."""
    names = first.names_in(file)
    alone = [name for name in names if any(name not in other for other in others)]
    if names and len(alone) == len(names):
        raise UserError(f"{others[0]}: has no tensor of {file.name} of {first}; merge models of the same kind")

    def change(name: str, value: Tensor) -> Tensor:
        return value if name in alone else _sum(name, value, first, others, alpha)

    write_changed(first, file, change, out, about)
    return alone


def _sum(name: str, own: Tensor, first: Tensors, others: list[Tensors], alpha: float) -> Tensor:
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


def _merge_folders(models: list[Path], alpha: float, out: Path) -> str:
    for path in models[1:]:
        if not (path / INDEX).is_file():
            raise UserError(f"{path}: has no {INDEX}, so it is not a pipeline in the hub's layout")
    lines, recipe = [], _recipe(models, alpha)
    with copied_folder(models[0], out) as place:
        for part in weighted_parts(models[0]):
            files = [weights(model / part) for model in models]
            with ExitStack() as stack:
                first, *others = (
                    stack.enter_context(Tensors(model, found)) for model, found in zip(models, files, strict=True)
                )
                if not all(files):  # such as a safety checker
                    lines.append(f"{part} is not in all of them, and stays as it is in {models[0].name}")
                    for file in files[0]:
                        shutil.copy(file, place / part / file.name)
                    continue
                for file in files[0]:
                    kept = _merge_file(first, file, others, alpha, place / part / file.name, {})
                    lines += _said(kept, models[0])
        lines += write_about(place, [(model, model.name, licence(model)) for model in models], recipe)
    return "\n".join([f"{out}: {recipe}", *dict.fromkeys(lines)])


def _recipe(models: list[Path], alpha: float) -> str:
    names = [path.name for path in models]
    if len(models) == 2:
        return f"{1 - alpha:g} x {names[0]} + {alpha:g} x {names[1]}"
    return f"{names[0]} + {alpha:g} x ({names[1]} - {names[2]})"


def _said(kept: list[str], a: Path) -> list[str]:
    return [f"{len(kept)} tensors are in {a.name} alone, and stay as they are there: {kept[0]}, ..."] if kept else []


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"
