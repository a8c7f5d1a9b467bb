"""Tensors out of pickled checkpoints (.ckpt, .pt), without running anything that such a file names.

The reader is that of torch.load(weights_only=True): it calls only what builds tensors and what is on its list, and
refuses the modules os and sys. Trainers also store callbacks and settings, whose classes it refuses: here each of them
becomes an empty class of the same name, so that the rest of the file can be read.
"""

import pickletools
import re
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch.serialization import safe_globals

from diffaug.runtime.errors import UserError

_EMA = "model_ema."
# Where trainers put the weights: Lightning; BasicSR (ESRGAN, SwinIR), first those of the moving average.
_NESTED = ("state_dict", "params_ema", "params")
# A file from before torch 1.6 is a row of pickles: a number, a version, the machine, the content, names of the data.
_PICKLES = 5


class _Inert:
    """In place of a class that a pickle names: takes what it is given, and keeps and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


class _InertMapping:
    """In place of a class of mappings, whose items the reader sets itself."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return OrderedDict()


def read_pickled(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a pickled checkpoint, and what was left out, in words.

    Raises UserError if it is damaged, no checkpoint, or asks for what no checkpoint needs.
    """
    try:
        inert: list[Any] = [(_stand_in(name), name) for name in _names(path)]
        with safe_globals(inert), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols and of old types of storage
            mapped = zipfile.is_zipfile(path)  # so that a large file need not fit into the memory twice
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError:
        raise UserError(f"{path}: does not exist; give the path of a checkpoint") from None
    except PermissionError:
        raise
    except MemoryError:
        raise UserError(f"{path}: needs more memory than there is; convert it on a larger machine") from None
    except Exception as error:  # the reader of a damaged file raises a dozen types
        raise UserError(
            f"{path}: is damaged, no checkpoint, or holds what cannot be left out ({_reason(error)}); fetch it "
            "again, or take another"
        ) from None
    return _tensors(content, path)


def convert_file(path: Path) -> str:
    """What to do about a pickled file, for messages."""
    return f"`diffaug convert {path} {path.with_suffix('.safetensors')}` makes a file that cannot, which you then name"


def _reason(error: Exception) -> str:
    """The error in one line, without the library's advice to trust the file."""
    text = " ".join(str(error).split()).rpartition("WeightsUnpickler error: ")[2]
    if "TorchScript" in text:
        return "it is a TorchScript program"
    blocked = re.search(r"GLOBAL (\S+) whose module \S+ is blocked", text)
    if blocked:
        return f"it calls {blocked[1]}, which no checkpoint needs, and which can do harm"
    return re.split(r" Please |\.? Check the doc|\. In PyTorch|$", text, maxsplit=1)[0][:200] or type(error).__name__


def _names(path: Path) -> set[str]:
    """The names of all functions and classes that the pickles of the file mention, as module.name."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            return {name for _ in range(_PICKLES) for name in _mentioned(file)}
        with zipfile.ZipFile(file) as archive:
            inner = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if not inner:
                raise ValueError("it has no data.pkl")
            with archive.open(inner[0]) as content:
                return set(_mentioned(content))


def _mentioned(file: BinaryIO | Any) -> Iterator[str]:
    for operation, value, _ in pickletools.genops(file):
        if operation.name == "GLOBAL":
            module, _, name = str(value).partition(" ")
            yield f"{module}.{name}"
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            yield f"{module}.{name}"  # since Python 3


def _stand_in(name: str) -> type:
    kind = _InertMapping if name.lower().endswith("dict") else _Inert
    return type(name.rpartition(".")[2], (kind,), {})


def _tensors(content: Any, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    others: list[str] = []
    unused: list[str] = []
    while inner := _nested(content):
        others += [str(key) for key in content if key not in _NESTED]
        unused += [f"the weights {key}, beside {inner}" for key in _NESTED if key != inner and key in content]
        content = content[inner]
    if isinstance(content, dict) and isinstance(content.get("string_to_param"), dict):  # WebUI's learned words
        content = dict(zip(["emb_params"], content["string_to_param"].values()))
    items = content.items() if isinstance(content, dict) else ()
    found = {key: value.detach() for key, value in items if isinstance(key, str) and _plain(value)}
    others += [str(key) for key, value in items if key not in found]
    averaged = [key for key in found if key.startswith(_EMA)]
    tensors = {key: value for key, value in found.items() if not key.startswith(_EMA)}
    if not tensors:
        raise UserError(
            f"{path}: holds no tensors by name; if it is a whole model of another program, save its state_dict()"
        )
    left = [f"{len(averaged)} tensors of the moving average {_EMA}*, as in WebUI"] if averaged else []
    left += unused
    if others:
        left.append(f"what is no tensor: {', '.join(sorted(set(others))[:8])}{', ...' if len(set(others)) > 8 else ''}")
    return tensors, left


def _nested(content: Any) -> str | None:
    """The key below which the weights are, None if they are not in a mapping of their own."""
    mapping = isinstance(content, dict)
    return next((key for key in _NESTED if mapping and isinstance(content.get(key), dict)), None)


def _plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized and not value.is_meta
