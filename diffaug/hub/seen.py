"""Which images a generator was trained on: their hashes travel with its weights, so that a test image that it knows is
found wherever the weights are used."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from diffaug.params.base import SEEN
from diffaug.pictures.hashing import pixel_hash
from diffaug.runtime.errors import UserError

_TENSOR = "trained"
_DIGITS = 16  # hexadecimal digits of a hash that are kept, 8 bytes


@dataclass(frozen=True)
class Seen:
    """name: the model; trained: the shortened hashes of the images that it was trained on."""

    name: str
    trained: frozenset[int]

    def __contains__(self, pixels: str) -> bool:
        """Whether an image with this `pixel_hash` is one of them."""
        return int(pixels[:_DIGITS], 16) in self.trained


NOTHING_SEEN = Seen("", frozenset())


def read_seen(folder: str | None) -> Seen:
    """What the model in the folder states; nothing without a folder. Raises UserError if the model does not state it,
    or if the file is damaged."""
    if folder is None:
        return NOTHING_SEEN
    path = Path(folder).expanduser() / SEEN
    if not path.exists():
        raise UserError(
            f"params.yaml: download.unseen_by: {folder} has no {SEEN}, so it is unknown on which images it was "
            "trained; set download.unseen_by to null"
        )
    try:
        return Seen(folder, frozenset(load_file(path)[_TENSOR].tolist()))
    except (SafetensorError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{path}: cannot be read ({error}); get the model's folder again") from None


def write_seen_by(folder: Path, parents: Iterable[Path]) -> list[Path]:
    """Write the hashes of all images that these models state into the folder of a model that was made of them, and
    return those that state them; nothing is written if there are none. Raises UserError if a file is damaged."""
    stating = [parent for parent in parents if (parent / SEEN).exists()]
    if stating:
        trained = sorted(frozenset().union(*(read_seen(str(parent)).trained for parent in stating)))
        save_file({_TENSOR: np.array(trained, dtype=np.uint64)}, folder / SEEN)
    return stating


def write_seen(folder: Path, trained: Iterable[Image.Image]) -> None:
    """Write the hashes of these images into the model's folder."""
    hashes = sorted({int(pixel_hash(image)[:_DIGITS], 16) for image in trained})
    save_file({_TENSOR: np.array(hashes, dtype=np.uint64)}, folder / SEEN)
