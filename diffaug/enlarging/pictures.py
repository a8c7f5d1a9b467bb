"""A picture to enlarge: upright, with its transparency, its colour profile and the settings that it carries."""

import contextlib
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.PngImagePlugin import PngImageFile, PngInfo
from scipy import ndimage

from diffaug.dataset.codec import decode, open_image
from diffaug.runtime.errors import UserError, in_words
from diffaug.runtime.files import atomic_path, file_sha256

OWN_KEY = "diffaug upscale"  # the chunk of text that says how a picture was enlarged
# Chunks of text that hold EXIF or XMP: their orientation would turn the picture a second time.
_NO_TEXT = ("XML:", "Raw profile")
_WEBUI = b"UNICODE\0"  # begins the comment of a JPEG or WebP


@dataclass(frozen=True)
class Picture:
    """colour: L or RGB; alpha: L, or None without transparency; text: what the file says about itself; profile: of its
    colours (ICC); sha256: of the file."""

    colour: Image.Image
    alpha: Image.Image | None
    text: dict[str, str]
    profile: bytes | None
    sha256: str


def read_picture(path: Path) -> Picture:
    """A picture, turned upright. Raises UserError if it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(in_words(error)) from None
    colour: Image.Image = decode(data, str(path))
    opened = open_image(data)
    mode, transparent = opened.mode, "transparency" in opened.info or opened.mode in ("LA", "PA", "RGBA")
    alpha = None
    if transparent and not mode.startswith(("I", "F")):
        grey = mode in ("L", "LA")
        whole = _upright(opened, "LA" if grey else "RGBA")
        alpha = whole.getchannel("A")
        colour = _filled(whole.convert("L" if grey else "RGB"), alpha)
    opened.load()  # its text may stand behind the pixels
    profile = opened.info.get("icc_profile") if colour.mode == mode.removesuffix("A") else None
    return Picture(colour, alpha, _text(opened), profile, file_sha256(path))


def write_picture(
    colour: Image.Image, source: Picture, method: Image.Resampling, text: dict[str, str], path: Path
) -> None:
    """Write an enlarged picture as a PNG, with the transparency of its source, enlarged by the method, its profile and
    its text, and with more text. Raises OSError."""
    if source.alpha is not None:
        colour = colour.copy()
        colour.putalpha(source.alpha.resize(colour.size, method))
    info = PngInfo()
    for key, value in (source.text | text).items():
        info.add_text(key, value)
    with atomic_path(path) as temporary:
        colour.save(temporary, format="PNG", compress_level=6, pnginfo=info, icc_profile=source.profile)


def text_of(path: Path) -> dict[str, str]:
    """The text that a picture carries; empty if there is none, or it is no picture."""
    try:
        with open_image(path.read_bytes()) as opened:
            opened.load()
            return _text(opened)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error, Image.DecompressionBombError, ImportError):
        return {}  # the last one by Ultralytics, which wraps Image.open


def _upright(opened: Image.Image, mode: str) -> Image.Image:
    whole = opened.convert(mode)
    orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    bare = Image.fromarray(np.asarray(whole))
    bare.getexif()[ExifTags.Base.Orientation] = orientation  # without other tags, which Pillow may fail to write
    return ImageOps.exif_transpose(bare)


def _filled(colour: Image.Image, alpha: Image.Image) -> Image.Image:
    """The picture with the colour of the nearest visible pixel where it is transparent: enlarging mixes neighbours, and
    what nobody sees would give a fringe."""
    hidden = np.asarray(alpha) == 0
    if not hidden.any() or hidden.all():
        return colour
    rows, columns = ndimage.distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return Image.fromarray(np.asarray(colour)[rows, columns])


def _text(opened: Image.Image) -> dict[str, str]:
    if isinstance(opened, PngImageFile):
        return {key: str(value) for key, value in opened.text.items() if not key.startswith(_NO_TEXT)}
    with contextlib.suppress(KeyError, ValueError, TypeError, OSError, struct.error):
        comment = opened.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        if isinstance(comment, bytes) and comment.startswith(_WEBUI):
            return {"parameters": comment.removeprefix(_WEBUI).decode("utf-16-be")}
    return {}
