"""Hides the progress bars of diffusers and transformers, so that only those of the stages are shown."""

import diffusers
import transformers


def silence_libraries() -> None:
    """Switch off their bars for loading and saving, and log only errors."""
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()
