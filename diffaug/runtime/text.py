"""Text from outside, such as names of classes and files, in one line and without signs that nobody sees."""

import unicodedata

# They change the order of the letters on the screen: what is shown is another text than what is stored.
_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines and of paragraphs


def printable(text: str) -> str:
    """The text in one line: line ends, control characters and marks of direction as escapes such as \\x1b."""
    return "".join(letter.encode("unicode_escape").decode() if _unseen(letter) else letter for letter in text)


def unseen(text: str) -> str | None:
    """The first control character or mark of direction in the text, as an escape; None if there is none."""
    return next((printable(letter) for letter in text if _unseen(letter)), None)


def _unseen(letter: str) -> bool:
    return letter in _DIRECTIONS or unicodedata.category(letter) in _UNSEEN
