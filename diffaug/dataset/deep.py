"""Images of more than 8 bits per channel: their values, and which of them is white."""

import numpy as np
from PIL import Image

from diffaug.runtime.errors import UserError

FULL = 2**16 - 1
# Of cameras and scanners, which store 10, 12 or 14 bits in 16.
_WHITES = (2**8 - 1, 2**10 - 1, 2**12 - 1, 2**14 - 1, FULL)


def values(image: Image.Image, data: bytes) -> np.ndarray | None:
    """The values (H, W), or (H, W, 3 or 4) as RGB or RGBA, of an image that is opened but not loaded; None if it has 8
    bits per channel or fewer. Raises errors of Pillow, or ValueError, if it cannot be decoded."""
    if image.mode.startswith(("I", "F")):
        return np.asarray(image)
    tiles = getattr(image, "tile", ())
    if not tiles or ";16" not in str(tiles[0][3]):
        return None
    import cv2  # Pillow keeps only the upper 8 bits of 16-bit colour, so that 12-bit pictures become black

    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 3 or found.dtype != np.uint16:
        raise ValueError("its 16-bit colours cannot be decoded; save it with 8 bits")
    order = [2, 1, 0, 3][: found.shape[2]]
    return found[:, :, order]


def largest(found: np.ndarray) -> int | None:
    """The largest value, without the transparency; None if the values are not whole numbers from 0 to 65535."""
    colours = found[..., :3] if found.ndim == 3 else found
    whole = found.dtype.kind != "f" and colours.size and colours.min() >= 0 and colours.max() <= FULL
    return int(colours.max()) if whole else None


def white(largest_values: list[int]) -> int:
    """The white of a set of images with these largest values: 255, 1023, 4095, 16383 or 65535, the lowest that fits."""
    return next(white for white in _WHITES if white >= max(largest_values))


def eight_bits(found: np.ndarray, white: int, name: str) -> Image.Image:
    """The values as an image of 8 bits, "L", "RGB" or "RGBA", rounded, with `white` as 255. `name`: for the message of
    the UserError, raised if the values are not whole numbers from 0 to 65535."""
    if largest(found) is None:
        raise UserError(
            f"{name}: {'F' if found.dtype.kind == 'f' else 'I'} pixels from {found.min():g} to {found.max():g} have no "
            "defined white level; save the image with 8 or 16 bits per channel"
        )
    scale = np.full(found.shape[2] if found.ndim == 3 else 1, white, dtype=np.uint32)
    scale[3:] = FULL  # transparency
    scaled = (found.astype(np.uint32).reshape(*found.shape[:2], -1) * 255 + scale // 2) // scale
    return Image.fromarray(np.minimum(scaled, 255).astype(np.uint8).reshape(found.shape))
