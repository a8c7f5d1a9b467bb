"""Fonts for images: class names and prompts may be in any script, and no single font has all letters."""

from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import ImageFont

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

_FIRST_EASTERN = 0x2E80  # from here on, Chinese, Japanese and Korean letters
# File names of fonts with Chinese letters, on Linux, macOS and Windows.
_EASTERN = (
    *("notosanscjk-regular", "notosanssc-regular", "sourcehansanssc-regular", "sourcehansanscn-regular"),
    *("pingfang", "hiragino sans gb", "stheiti light", "arial unicode", "msyh", "simhei"),
    *("wqy-zenhei", "wqy-microhei", "droidsansfallback", "droidsansfallbackfull"),
)


def font_for(text: str, size: int) -> Font:
    """Pillow's own font for English; DejaVu Sans, which comes with matplotlib, for other letters; for Chinese,
    Japanese and Korean letters a font of this machine, if it has one."""
    if text.isascii():
        return ImageFont.load_default(size)
    return ImageFont.truetype(
        (_eastern() if _has_eastern(text) else None) or font_manager.findfont("DejaVu Sans"), size
    )


def letter_in_figure(figure: Figure) -> None:
    """Give Chinese, Japanese and Korean texts of a figure a font of this machine, if it has one."""
    figure.draw_without_rendering()  # the names at an axis are written only now
    for text in figure.findobj(Text):
        if _has_eastern(text.get_text()) and _eastern():
            text.set_fontfamily(["DejaVu Sans", _family(_eastern())])


def _has_eastern(text: str) -> bool:
    return any(ord(letter) >= _FIRST_EASTERN for letter in text)


@cache
def _family(file: str) -> str:
    """The name by which matplotlib finds the font of a file."""
    font_manager.fontManager.addfont(file)
    return font_manager.FontProperties(fname=file).get_name()


@cache
def _eastern() -> str | None:
    """The file of the first known font with Chinese letters."""
    # Not matplotlib's own list of names: it is cached, so it may lack a newly installed font.
    installed = {Path(path).stem.casefold(): path for path in sorted(font_manager.findSystemFonts())}
    return next((installed[name] for name in _EASTERN if name in installed), None)
