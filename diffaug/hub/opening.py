"""Opening others' files with a library: every error is one line, and a network has a largest size."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from diffaug.hub.parts import refuse_custom_code
from diffaug.runtime.errors import UserError
from diffaug.runtime.shortage import lacks_memory

# Modules and tensors of all networks of a pipeline; those of published image generators have up to about 20,000.
MAX_MODULES = 100_000
_REGISTER = (register_module_module_registration_hook, register_module_parameter_registration_hook)


@contextmanager
def opening(failed: str, folder: Path) -> Iterator[None]:
    """Turns every error of a library inside, of which there are a dozen types, into one line that begins with `failed`.

    A configuration can state layers without end; building stops after MAX_MODULES. `folder`: of the files.
    """
    made = 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1
        if made > MAX_MODULES:
            raise UserError(f"{failed} (its configuration states more than {MAX_MODULES} layers)")

    hooks = [register(count) for register in _REGISTER]
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        refuse_custom_code(folder, error)
        if lacks_memory(error):
            raise UserError(
                f"{failed}, or it needs more memory than this machine has ({' '.join(str(error).split())[:300]})"
            ) from None
        raise UserError(f"{failed} ({' '.join(str(error).split())[:300]})") from None
    finally:
        for hook in hooks:
            hook.remove()


def fitting(key: str, what: Path | str, kind: str) -> AbstractContextManager[None]:
    """For opening files that may not fit a pipeline or a network of this kind; `key`: of the params."""
    return opening(f"params.yaml: {key}: {what} does not fit {kind}, or is damaged", Path(what))
