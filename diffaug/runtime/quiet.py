"""Keeps the progress bars of diffusers and transformers out of the stages' own."""

import diffusers
import transformers


def silence_libraries() -> None:
    """No loading and saving bars, and only errors in the log."""
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
