"""A lack of memory, of a GPU or of the machine: how it is recognised, and the one line that says what to change."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from diffaug.params import Params
from diffaug.runtime.cores import gpus
from diffaug.runtime.errors import UserError

# Errors of torch whose class does not say it: of the libraries under it, of Apple's GPU, of its allocator on the CPU.
_WORDS = (
    *("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED"),
    *("can't allocate memory", "not enough memory", "Cannot allocate memory"),
)


def lacks_memory(error: BaseException) -> bool:
    """Whether the error, or one that caused it, is a lack of memory; torch is not imported for it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or type(seen).__name__ == "OutOfMemoryError":
            return True
        if isinstance(seen, OSError) and seen.errno == errno.ENOMEM:
            return True
        if isinstance(seen, RuntimeError) and any(words in str(seen) for words in _WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def memory_in_words(name: str, params: Params) -> Iterator[None]:
    """Raises UserError in place of a lack of memory in the stage or training `name`, with the parameters that lower its
    need and their values now."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise _no_memory(name, params, error) from None


def _no_memory(name: str, params: Params, error: BaseException) -> UserError:
    advice = next((ways for stage, ways in _ways(params).items() if name.startswith(stage)), ["close other programs"])
    said = " ".join(str(error).split())[:120]
    return UserError(
        f"the memory of the GPU, or of this machine, does not suffice ({said}); {', or '.join(advice)}; what is "
        "finished is kept: run again to go on"
    )


def _ways(params: Params) -> dict[str, list[str]]:
    generate, gen, cls, det = params.generate, params.train_gen, params.train_cls, params.train_det
    tuned, section = (gen.lora, "lora") if gen.tuned is None else (gen.tuned, gen.method)
    scratch = [f"lower train_gen.scratch.{part}.batch_size" for part in ("vae", "unet")]
    checkpointing = [] if tuned.gradient_checkpointing else [f"set train_gen.{section}.gradient_checkpointing: true"]
    sizes = ("batch_size", "size", *(["rank"] if section == "lora" else []))
    jobs = f"set jobs: 1 (now {'as many as fit' if params.jobs is None else params.jobs})"
    half = ["set generate.dtype: auto"] if generate.dtype == "float32" and gpus() else []
    memory = [] if generate.memory.offload != "none" or not gpus() else ["set generate.memory.offload: model"]
    return {
        "generate": [
            *(f"lower generate.batch_size (now {generate.batch_size})", *half, *memory),
            "lower generate.height and width",
        ],
        "train_gen": scratch
        if gen.method == "scratch"
        else [
            *(f"lower train_gen.{section}.{key} (now {getattr(tuned, key)})" for key in sizes),
            *checkpointing,
        ],
        "train_cls": [f"lower train_cls.batch_size (now {cls.batch_size})", "lower train_cls.image_size", jobs],
        "train_det": [f"lower train_det.batch_size (now {det.batch_size})", "lower train_det.image_size", jobs],
        "filter": ["name smaller networks in filter", jobs],
        "evaluate": ["lower train_cls.image_size or train_det.image_size"],
    }
