"""`diffaug convert`: a checkpoint that was pickled draws the same as .safetensors."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from damage import refused
from ldm import checkpoint_tensors
from safetensors import safe_open
from safetensors.torch import load_file
from settings import params

from diffaug.commands.convert import convert
from diffaug.diffusion.opening import open_model


@pytest.mark.parametrize("zipped", [True, False])
def test_a_converted_checkpoint_draws_the_same(random_pipeline: Path, tmp_path: Path, zipped: bool) -> None:
    tensors = checkpoint_tensors(random_pipeline)
    source, target = tmp_path / "model.ckpt", tmp_path / "model.safetensors"
    torch.save({"state_dict": tensors, "epoch": 3}, source, _use_new_zipfile_serialization=zipped)
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    assert convert(source, target, False) == (
        f"{target}: {len(tensors)} tensors, {size / 1e9:.2f} GB\nleft out: what is no tensor: epoch"
    )
    found = load_file(target)
    assert found.keys() == tensors.keys() and all(torch.equal(found[key], value) for key, value in tensors.items())
    with safe_open(target, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}
    model = open_model(params({"name": str(target), "config": str(random_pipeline)}), torch.device("cpu"))
    assert torch.equal(model.pipeline.unet.conv_in.weight, tensors["model.diffusion_model.input_blocks.0.0.weight"])


def test_tensors_that_share_memory_are_parted(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    shared = {"whole": base, "again": base, "part": base[1:], "turned": base.T, "number": torch.tensor(3)}
    torch.save(shared, tmp_path / "a.ckpt")
    convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", False)
    found = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(found[key], value) for key, value in shared.items()) and found.keys() == shared.keys()


def test_half_precision(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(100),
        "b": torch.ones(3).bfloat16(),
        "c": torch.tensor([1, 2]),
        "d": torch.ones(2).double(),
    }
    torch.save(tensors, tmp_path / "a.ckpt")
    convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", True)
    found = load_file(tmp_path / "a.safetensors")
    kinds = {key: value.dtype for key, value in found.items()}
    assert kinds == {"a": torch.float16, "b": torch.bfloat16, "c": torch.int64, "d": torch.float16}
    assert torch.equal(found["a"], tensors["a"].half())
    torch.save({"a": torch.tensor([70000.0])}, tmp_path / "b.ckpt")
    message = refused(lambda: convert(tmp_path / "b.ckpt", tmp_path / "b.safetensors", True))
    assert message.endswith("b.ckpt: a has numbers that float16 cannot hold; leave out --half")
    assert not (tmp_path / "b.safetensors").exists()


def test_a_target_that_exists_or_has_another_ending_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "a.ckpt")
    (tmp_path / "a.safetensors").write_bytes(b"precious")
    exists = refused(lambda: convert(tmp_path / "a.ckpt", tmp_path / "a.safetensors", False))
    assert exists.endswith("a.safetensors: exists already; remove it, or choose another name")
    assert (tmp_path / "a.safetensors").read_bytes() == b"precious"
    assert refused(lambda: convert(tmp_path / "a.ckpt", tmp_path / "b.bin", False)).endswith("end with .safetensors")


def test_the_command(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(4)}, tmp_path / "a.ckpt")
    (tmp_path / "b.ckpt").write_bytes(b"<html>")
    command = [sys.executable, "-m", "diffaug.commands.main", "convert"]
    done, failed = (
        subprocess.run([*command, f"{name}.ckpt", f"{name}.safetensors"], cwd=tmp_path, capture_output=True, text=True)
        for name in ("a", "b")
    )
    assert (done.returncode, done.stdout) == (0, "a.safetensors: 1 tensors, 0.00 GB\n")
    assert failed.returncode == 1 and failed.stderr.startswith("diffaug: b.ckpt: is damaged, no checkpoint")
    assert failed.stderr.count("\n") == 1
