"""Sheets of images: cells of one size with a caption below, in sections or with labelled rows and columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from diffaug.pictures.boxes import XYWH
from diffaug.pictures.fonts import Font, font_for

_GAP, _LINE, _LEFT = 6, 18, 150
_TITLE = 16  # font size of titles; that of captions is 11


@dataclass(frozen=True)
class Cell:
    """An image, the caption below it, of one or two lines, and boxes to draw on it, each with its colour."""

    picture: Image.Image
    caption: str = ""
    boxes: Sequence[tuple[XYWH, str]] = ()


@dataclass(frozen=True)
class Section:
    """Rows of cells under a title."""

    title: str
    cells: Sequence[Cell]


def fitted(picture: Image.Image, side: int, longest: int | None = None) -> Image.Image:
    """RGB, `side` pixels square: the image in the upper left corner, as large as possible, or so large that `longest`
    pixels of it fill the square. Small images are enlarged without smoothing, so that their pixels are visible."""
    scale = side / (longest or max(picture.size))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    resample = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    square = Image.new("RGB", (side, side), "#dddddd")
    square.paste(picture.convert("RGB").resize(size, resample), (0, 0))
    return square


def make_sections(sections: Sequence[Section], columns: int, width: int) -> Image.Image:
    """RGB, `width` pixels wide: the sections below each other, each with rows of `columns` cells."""
    side = (width - _GAP) // columns - _GAP
    high = side + 2 * _LINE
    heights = [_LINE + 2 * _GAP + high * max(1, -(-len(section.cells) // columns)) for section in sections]
    sheet = Image.new("RGB", (width, sum(heights) + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    top = _GAP
    for section, height in zip(sections, heights):
        pen.text((_GAP, top), section.title, fill="black", font=font_for(section.title, _TITLE))
        first = top + _LINE + _GAP
        if not section.cells:
            pen.text((_GAP, first), "none", fill="gray", font=font_for("none", 12))
        for number, cell in enumerate(section.cells):
            place = (_GAP + number % columns * (side + _GAP), first + number // columns * high)
            _put_cell(sheet, pen, place, cell, side)
        top += height
    return sheet


def make_grid(
    title: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]], side: int = 192
) -> Image.Image:
    """RGB. `columns`: the labels on top; `rows`: a label, and one cell per column. The largest image has `side` pixels,
    the others are shown at the same scale."""
    cells = [cell for _, of_row in rows for cell in of_row]
    longest = max(max(cell.picture.size) for cell in cells)
    below = _LINE * max(cell.caption.count("\n") + 1 for cell in cells)
    width = _LEFT + len(columns) * (side + _GAP) + _GAP
    height = 3 * _LINE + len(rows) * (side + below + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    font = font_for(title, 14)
    pen.text((_GAP, _GAP), shortened(title, font, width - 2 * _GAP), fill="black", font=font)
    for column, label in enumerate(columns):
        font = font_for(label, 14)
        pen.text((_LEFT + column * (side + _GAP), 2 * _LINE), shortened(label, font, side), fill="black", font=font)
    for row, (label, of_row) in enumerate(rows):
        top = 3 * _LINE + _GAP + row * (side + below + _GAP)
        font = font_for(label, 14)
        for number, line in enumerate(_wrapped(label, font, _LEFT - 2 * _GAP)):
            pen.text((_GAP, top + number * _LINE), line, fill="black", font=font)
        for column, cell in enumerate(of_row):
            _put_cell(sheet, pen, (_LEFT + column * (side + _GAP), top), cell, side, longest)
    return sheet


def shortened(text: str, font: Font, width: int) -> str:
    """The text, shortened with dots if it is wider than `width` pixels."""
    while len(text) > 4 and font.getlength(text) > width:
        text = f"{text[:-4]}..."
    return text


def _put_cell(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    cell: Cell,
    side: int,
    longest: int | None = None,
) -> None:
    square = fitted(cell.picture, side, longest)
    scale = side / max(cell.picture.size)
    marker = ImageDraw.Draw(square)
    for (x, y, width, height), color in cell.boxes:
        left, top = x * scale, y * scale
        right, bottom = max(left + 1, left + width * scale - 1), max(top + 1, top + height * scale - 1)
        marker.rectangle([left, top, right, bottom], outline=color, width=2)
    sheet.paste(square, place)
    font = font_for(cell.caption, 11)
    lines = "\n".join(shortened(line, font, side) for line in cell.caption.split("\n"))
    pen.text((place[0], place[1] + side + 2), lines, fill="black", font=font, spacing=2)


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return [shortened(line, font, width) for line in lines[:8]]
