"""What a reader returns: labelled images that are not opened yet, from any format."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from diffaug.pictures.boxes import XYXY
from diffaug.sources.faults import Fault


@dataclass(frozen=True)
class Object:
    """A labelled box as given in its file.

    where: file and line; box: left, top, right, bottom; text: its values as written, for messages.
    """

    where: str
    category: int
    box: XYXY
    text: str


@dataclass(frozen=True)
class Item:
    """A labelled image that has not been opened yet.

    load: returns the file's bytes, or raises UserError; where: its label file (or itself) and file: itself,
    for messages; size: (width, height) in pixels as declared in its label file; label: its class, for classification;
    group: what it shares with the images that must be in the same split.
    """

    id: str
    split: str
    load: Callable[[], bytes]
    where: str
    file: str = ""
    label: int | None = None
    size: tuple[int, int] | None = None
    objects: tuple[Object, ...] = ()
    group: Hashable = None


@dataclass(frozen=True)
class Labelled:
    """The output of a reader. given: splits that the files name; others are drawn from train. relative: whether boxes
    are fractions of the image's size; otherwise pixels. kept_out: boxes left out as crowd or difficult. layout: what
    the reader understood, in words."""

    names: tuple[str, ...]
    items: tuple[Item, ...]
    given: frozenset[str]
    faults: tuple[Fault, ...] = ()
    relative: bool = False
    kept_out: int = 0
    layout: str = ""
