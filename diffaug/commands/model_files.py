"""The files of a model, read and written again one tensor at a time, and the card of what was made of several."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm import tqdm

from diffaug.hub.licence import card_licence
from diffaug.hub.parts import INDEX
from diffaug.hub.seen import write_seen_by
from diffaug.params.base import LOSSES, REVERSE, SEEN
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

CARD = "README.md"
# Of a pipeline folder, what is not merged: other formats of the weights, and what is of one training or folder alone.
_OTHERS = ("*.bin", "*.ckpt", "*.msgpack", "*.onnx", "*.pb", ".git*", CARD, ".sha256", LOSSES, REVERSE)
_APPLY = "Licences of its parents, all of which apply:"
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


def refuse_target(model: Path, out: Path) -> None:
    """Raises UserError if the model is not there or no pipeline folder, or `out` exists or is of another kind."""
    if not model.exists():
        raise UserError(f"{model}: does not exist; give a .safetensors file, or a folder with {INDEX}")
    if out.exists():
        raise UserError(f"{out}: exists already; remove it, or choose another name")
    if model.is_dir() and not (model / INDEX).is_file():
        raise UserError(f"{model}: has no {INDEX}, so it is not a pipeline in the hub's layout")
    if not model.is_dir() and out.suffix != ".safetensors":
        raise UserError(f"{out}: must end with .safetensors, as the models do")


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


def write_changed(
    model: Tensors, file: Path, change: Callable[[str, Tensor], Tensor], out: Path, about: Mapping[str, str]
) -> None:
    """Write a file of the model again, each tensor as `change` returns it for its name: of the same shape and data
    type. about: for the file's metadata."""
    names = model.names_in(file)
    shapes = {name: (value.shape, value.dtype) for name in names for value in [model[name]]}
    with atomic_path(out) as temporary, temporary.open("wb") as handle:
        _write_head(handle, file, shapes, about)
        for name in tqdm(names, desc=f"merge {file.name}", unit="tensor", mininterval=1.0, leave=False):
            value = change(name, model[name])
            handle.write(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())


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


@contextmanager
def copied_folder(model: Path, out: Path) -> Iterator[Path]:
    """A copy of a pipeline folder without its weights and its card, which becomes `out` if all goes well."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        place = Path(temporary) / out.name
        shutil.copytree(model, place, ignore=shutil.ignore_patterns("*.safetensors", *_OTHERS))
        yield place
        place.rename(out)


def weighted_parts(model: Path) -> list[Path]:
    """The folders of the parts of a pipeline that have weights, relative to it."""
    return sorted({file.parent.relative_to(model) for file in model.glob("*/*.safetensors")})


def weights(part: Path) -> list[Path]:
    """The weights of a part; those of a variant only if there are no others."""
    files = sorted(part.glob("*.safetensors"))
    plain = [path for path in files if path.name.count(".") == 1]
    return plain or files


def write_about(place: Path, parents: Sequence[tuple[Path, str, str | None]], recipe: str) -> list[str]:
    """Write the card of a merged model, and the hashes of the images that its parents state to have seen; returns what
    to know, line by line. parents: the folder or file, the name, and the licence, None if it is not stated, of each."""
    stated = [(name, said or "not stated") for parent in parents for name, said in _stated(*parent)]
    rows = "\n".join(f"- {name}: {licence}" for name, licence in dict.fromkeys(stated))
    same = {licence for _, licence in stated}
    head = f"---\nlicense: {same.pop()}\n---\n\n" if len(same) == 1 and "not stated" not in same else ""
    text = f"{head}# Merged model\n\n{recipe}\n\n{_APPLY}\n\n{rows}\n"
    (place / CARD).write_text(text, encoding="utf-8")
    stating = write_seen_by(place, [path for path, _, _ in parents])
    silent = [name for path, name, _ in parents if path not in stating]
    if not stating or not silent:
        return []
    return [
        f"{SEEN} has the images of {', '.join(path.name for path in stating)}; those of {', '.join(silent)} are unknown"
    ]


def _stated(path: Path, name: str, licence: str | None) -> list[tuple[str, str | None]]:
    """The licence of a model or, of one that was merged here, those of its parents."""
    card = path / CARD
    _, apply, rows = (card.read_text(encoding="utf-8") if card.is_file() else "").partition(f"{_APPLY}\n")
    parents = [line.removeprefix("- ").rpartition(": ") for line in rows.splitlines() if line.startswith("- ")]
    return [(parent, said) for parent, _, said in parents] if apply else [(name, licence)]


def licence(folder: Path) -> str | None:
    """The licence that the card in a folder states; None if it states none."""
    return card_licence(folder / CARD) if (folder / CARD).is_file() else None
