"""Types of values on the command line."""

import argparse


def minutes(text: str) -> float:
    """From 1 to 100,000. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 1 <= found <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100000")
    return found
