"""A grid of pictures with labelled rows and columns and a line below each."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from diffaug.pictures.fonts import Font, font_for

_GAP, _LINE, _LEFT = 6, 18, 150


def draw_grid(
    title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[tuple[Image.Image, str]]]], cell: int = 192
) -> Image.Image:
    """RGB. `columns`: the labels on top; `rows`: a label, and for every column a picture and the text below it.

    Pictures are fitted to `cell` pixels; small ones are enlarged without smoothing, so that their pixels show.
    """
    width = _LEFT + len(columns) * (cell + _GAP) + _GAP
    height = 3 * _LINE + len(rows) * (cell + _LINE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _GAP), title, fill="black", font=font_for(title, 14))
    for column, label in enumerate(columns):
        font = font_for(label, 14)
        pen.text((_LEFT + column * (cell + _GAP), 2 * _LINE), _shorten(pen, label, font, cell), fill="black", font=font)
    for row, (label, cells) in enumerate(rows):
        top = 3 * _LINE + _GAP + row * (cell + _LINE + _GAP)
        font = font_for(label, 14)
        for number, line in enumerate(_wrap(pen, label, font, _LEFT - 2 * _GAP)):
            pen.text((_GAP, top + number * _LINE), line, fill="black", font=font)
        for column, (picture, text) in enumerate(cells):
            left = _LEFT + column * (cell + _GAP)
            sheet.paste(_fit(picture, cell), (left, top))
            pen.text((left, top + cell + 2), text, fill="#555555", font=font_for(text, 11))
    return sheet


def _fit(picture: Image.Image, cell: int) -> Image.Image:
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resample = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    square = Image.new("RGB", (cell, cell), "#eeeeee")
    square.paste(picture.convert("RGB").resize(size, resample), (0, 0))
    return square


def _shorten(pen: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> str:
    while len(text) > 4 and pen.textlength(text, font=font) > width:
        text = f"{text[:-4]}..."
    return text


def _wrap(pen: ImageDraw.ImageDraw, text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [_shorten(pen, line, font, width) for line in lines[:8]]
