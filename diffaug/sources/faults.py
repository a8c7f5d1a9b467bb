"""Faults in a source's files: collected, then one error or, with download.strict false, dropped and counted."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from diffaug.runtime.errors import UserError


class Kind(Enum):
    """A kind of fault, and what is dropped because of it: the row (one box) or the whole image with all its boxes."""

    BAD_ROW = "unreadable row", "row"
    NOT_FINITE = "NaN or infinite value", "row"
    EMPTY = "box without area", "row"
    OUTSIDE = "box outside its image", "row"
    UNKNOWN_CLASS = "unknown class", "row"
    DUPLICATE = "duplicate box", "row"
    NO_SUCH_IMAGE = "annotation of an absent image id", "row"
    UNKNOWN_LABEL = "image of an unknown class", "image"
    BAD_ENTRY = "unreadable image entry", "image"
    BAD_LABELS = "unreadable label file", "image"
    BAD_IMAGE = "unreadable image", "image"
    MISSING = "missing image file", "image"
    LINK = "link that leads nowhere", "image"
    NO_PICTURE = "file that is no image", "image"
    NO_IMAGE = "label file without image", "image"
    SIZE = "declared size that is not the image's", "image"
    PIXELS = "pixels where fractions belong", "image"
    FRACTIONS = "fractions where pixels belong", "image"
    TWICE = "image listed twice", "image"
    SHARED = "same image in two splits", "image"
    TWO_CLASSES = "same image in two classes", "image"

    @property
    def title(self) -> str:
        """The kind in words."""
        return self.value[0]

    @property
    def drops(self) -> str:
        """`row` or `image`."""
        return self.value[1]


@dataclass(frozen=True)
class Fault:
    """One fault; `text`: the place (file and line), what was found and what is allowed; `stem`: the name, without
    suffix, of an image that is not there."""

    kind: Kind
    text: str
    stem: str | None = None


@dataclass(frozen=True)
class Dropped:
    """Counts of the source's data that were dropped; `kept_out`: boxes marked as crowd or difficult."""

    rows: int = 0
    images: int = 0
    kept_out: int = 0

    def __add__(self, other: "Dropped") -> "Dropped":
        return Dropped(self.rows + other.rows, self.images + other.images, self.kept_out + other.kept_out)


class NoBoxesError(UserError):
    """Nothing in the folder looks like boxes of a known format."""


class FaultsError(UserError):
    """Faults that stop a strict run; `found`: the message without its advice."""

    def __init__(self, found: str, advice: str) -> None:
        super().__init__(f"{found}; {advice}")
        self.found = found


def settle(
    faults: Sequence[Fault], strict: bool, known: Callable[[Fault], bool] = lambda fault: False, where: str = "download"
) -> Dropped:
    """Print each kind with its count and first example, and return the counts.

    Raises FaultsError if strict and a fault is not `known` for this source: the first one, and how many more there are.
    """
    unknown = [fault for fault in faults if not known(fault)]
    if strict and unknown:
        raise _error(unknown)
    for kind, count in Counter(fault.kind for fault in faults).items():
        first = next(fault.text for fault in faults if fault.kind is kind)
        print(f"{where}: dropped {_counted(count, kind.drops)} ({kind.title}), the first: {first}")
    dropped = Counter(fault.kind.drops for fault in faults)
    return Dropped(dropped["row"], dropped["image"])


def _error(faults: Sequence[Fault]) -> FaultsError:
    first, *others = faults
    if not others:
        return FaultsError(first.text, f"correct it, or set download.strict: false, which drops the {first.kind.drops}")
    kinds = ", ".join(f"{count} x {kind.title}" for kind, count in Counter(fault.kind for fault in others).items())
    return FaultsError(
        f"{first.text}; and {len(others)} more ({kinds})",
        "correct them, or set download.strict: false, which drops and counts them",
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
