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

_DIGITS = 16  # hexadecimal digits of a hash that are kept, 8 bytes


@dataclass(frozen=True)
class Seen:
    """name: the model. trained: the images that it was trained on; near: changed copies of them among the other images
    of the same data set. Both are shortened hashes of pixels."""

    name: str
    trained: frozenset[int]
    near: frozenset[int] = frozenset()

    def __contains__(self, pixels: str) -> bool:
        """Whether an image with this `pixel_hash` is one of them."""
        short = int(pixels[:_DIGITS], 16)
        return short in self.trained or short in self.near


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
        hashes = {name: frozenset(values.tolist()) for name, values in load_file(path).items()}
        return Seen(folder, hashes["trained"], hashes["near"])
    except (SafetensorError, KeyError, OSError) as error:
        raise UserError(f"{path}: cannot be read ({error}); get the model's folder again") from None


def write_seen(folder: Path, trained: Iterable[Image.Image], near: Iterable[Image.Image] = ()) -> None:
    """Write the hashes of these images into the model's folder."""
    save_file({"trained": _shortened(trained), "near": _shortened(near)}, folder / SEEN)


def _shortened(images: Iterable[Image.Image]) -> np.ndarray:
    return np.array(sorted({int(pixel_hash(image)[:_DIGITS], 16) for image in images}), dtype=np.uint64)
