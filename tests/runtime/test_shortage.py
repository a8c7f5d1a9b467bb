"""A lack of memory anywhere is one line, and what is finished stays."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from default_params import params as default_params

from diffaug import stage
from diffaug.params import Params
from diffaug.runtime.errors import UserError
from diffaug.runtime.shortage import lacks_memory, memory_in_words

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. 1 GiB is free")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        MemoryError(),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        caused(ValueError("the step failed"), FULL),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_kind_is_known(error: Exception) -> None:
    assert lacks_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2"), ValueError("x"), OSError(errno.ENOSPC, "full")])
def test_other_errors_are_none(error: Exception) -> None:
    assert not lacks_memory(error)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("generate", "lower generate.batch_size (now 20)"),
        ("train_cls-real-0", "lower train_cls.batch_size (now 64), or lower train_cls.image_size, or set jobs: 1"),
        ("train_det-merged-1", "lower train_det.batch_size (now 16)"),
        ("filter", "name smaller networks in filter"),
        ("evaluate", "lower train_cls.image_size or train_det.image_size"),
        ("merge-0", "close other programs"),
    ],
)
def test_the_line_says_what_to_change(name: str, advice: str) -> None:
    with pytest.raises(UserError) as caught, memory_in_words(name, default_params()):
        raise FULL
    message = str(caught.value)
    assert advice in message and "CUDA out of memory" in message and message.endswith("kept: run again to go on")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("method", "advice"),
    [("lora", "train_gen.lora.batch_size (now 1)"), ("scratch", "train_gen.scratch.vae.batch_size")],
)
def test_the_training_of_the_generator_names_its_own_method(method: str, advice: str) -> None:
    given = default_params()
    given = given.model_copy(update={"train_gen": given.train_gen.model_copy(update={"method": method})})
    with pytest.raises(UserError) as caught, memory_in_words("train_gen", given):
        raise FULL
    assert advice in str(caught.value)


def test_messages_of_our_own_and_other_errors_pass() -> None:
    for error in (UserError("of our own"), ValueError("another")):
        with pytest.raises(type(error), match=str(error)), memory_in_words("generate", default_params()):
            raise error


def test_a_stage_ends_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(params: Params, work: Path) -> dict[str, Any]:
        (work / "done.png").write_bytes(b"x")
        raise FULL

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(stage, "load_params", default_params)
    with pytest.raises(SystemExit) as ended:
        stage.run_stage("evaluate", full)
    assert str(ended.value.code).startswith("evaluate: the memory of the GPU, or of this machine, does not suffice")
    assert [path.name for path in (tmp_path / "work").rglob("*.png")] == ["done.png"]
