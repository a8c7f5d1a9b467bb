"""Decoding images with checks, encoding them in one way, scaling them."""

import io
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from diffaug.dataset import deep
from diffaug.runtime.errors import UserError, in_words

# Pillow warns in two lines before `decode` refuses such an image in one.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Pillow knows many more, and hands some of them, such as PostScript, to other programs.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")  # GTSRB's images are PPM
_MANY_PIXELS = 64_000_000  # of one image; with transparency, 1 GB of memory while it is decoded
_PNG_LEVEL = 6  # fixed, since the level changes the bytes, and so the hash of every image
_KEPT_MODES = ("L", "RGB")
_ORIENTATION = 0x0112
# Read here, since ImageOps.exif_transpose rewrites the EXIF and so fails on a valid photograph with an odd tag.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's errors for damaged files and EXIF; ImportError comes from Ultralytics, which wraps Image.open.
_UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, struct.error, ImportError, Image.DecompressionBombError)


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """The image as PNG bytes, the same for the same pixels and `text` chunks; other metadata is left out."""
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, format="PNG", compress_level=_PNG_LEVEL, pnginfo=info)
    return buffer.getvalue()


def size_and_mode(data: bytes) -> tuple[tuple[int, int], str]:
    """(width, height) in pixels and colour mode ("L" or "RGB") of stored bytes, from only the header."""
    with open_image(data) as image:
        return image.size, image.mode


def open_image(data: bytes) -> Image.Image:
    """The image with only its header read, in one of the formats PNG, JPEG, BMP, TIFF, WEBP and PPM.

    Raises an error of Pillow for other formats; of what it does not refuse, `decode` refuses large and animated images.
    """
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def canonical(data: bytes, name: str, white: int = deep.FULL) -> bytes:
    """A file's bytes as they are stored: a plain upright JPEG unchanged, anything else decoded and encoded as PNG.
    `white`: of 16-bit images, as in `decode`.

    Raises UserError with `name` if the file is not a readable image.
    """
    image = decode(data, name, white)
    opened = open_image(data)
    plain = opened.format == "JPEG" and opened.mode in _KEPT_MODES and opened.getexif().get(_ORIENTATION, 1) == 1
    return data if plain else encode_png(image)


def decode(data: bytes, name: str, white: int = deep.FULL) -> Image.Image:
    """The image as "L" or "RGB", uint8, turned upright. `name`: for the message of the UserError.

    Grey stays grey; 16 bits are scaled to 8, with `white` as 255; CMYK, palettes and others become RGB; transparency is
    put on a white background; an EXIF rotation is applied. Refused are more than 64 million pixels, and several frames
    or pages, of which only the user knows which one the label means.
    """
    try:
        image: Image.Image = open_image(data)
        _refuse_large_and_moving(image, name)
        values = deep.values(image, data)
        image.load()
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except _UNREADABLE as error:
        # If no format fits, Pillow prints the buffer's address, and Ultralytics' wrapper asks for a package of HEIF.
        other = isinstance(error, (ImportError, UnidentifiedImageError))
        reason = f"none of the formats {', '.join(_FORMATS)}" if other else error
        raise UserError(f"{name}: not a readable image ({reason}); replace or remove the file") from None
    if values is not None:
        image = deep.eight_bits(values, white, name)
    if turn is not None:
        image = image.transpose(turn)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in _KEPT_MODES else image.convert("RGB")


def _refuse_large_and_moving(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > _MANY_PIXELS:
        raise UserError(
            f"{name}: {width} x {height} pixels, but at most {_MANY_PIXELS // 1_000_000} million are read; scale "
            "the image down"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # what phones write as .jpg: a JPEG with previews behind it
        raise UserError(f"{name}: has {frames} frames or pages; save the one that is meant as a file of its own")


def largest_value(data: bytes) -> int | None:
    """The largest value of an image of more than 8 bits per channel; None for others, and for what `decode` refuses."""
    try:
        image = open_image(data)
        _refuse_large_and_moving(image, "")
        values = deep.values(image, data)
    except (UserError, *_UNREADABLE):
        return None
    return None if values is None else deep.largest(values)


def read_file(path: Path) -> bytes:
    """A file's bytes, converted by `canonical`. Raises UserError with the file's name."""
    try:
        return canonical(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(in_words(error)) from None


def to_rgb_array(image: Image.Image, size: int | None = None) -> np.ndarray:
    """uint8 (H, W, 3); with `size`, scaled to that square with Lanczos filtering."""
    rgb = image.convert("RGB")
    if size is not None and rgb.size != (size, size):
        rgb = rgb.resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(rgb)
