"""`diffaug merge-models` on small real pipelines."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from ldm import save_checkpoint
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from settings import params

from diffaug.commands.main import main
from diffaug.commands.merge_models import merge_models
from diffaug.diffusion.opening import open_model
from diffaug.hub.seen import read_seen, write_seen
from diffaug.runtime.errors import UserError

A = {"x": torch.tensor([0.0, 1.0, 2.0]), "n": torch.tensor([7]), "only": torch.ones(2)}
B = {"x": torch.tensor([4.0, 1.0, 0.0]), "n": torch.tensor([9])}
C = {"x": torch.tensor([1.0, 1.0, 1.0]), "n": torch.tensor([8])}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, tensors in zip(paths, (A, B, C)):
        save_file(tensors, path)
    return paths


def test_a_weighted_sum_by_hand(files: list[Path], tmp_path: Path) -> None:
    said = merge_models(files[0], files[1], None, 0.25, tmp_path / "out.safetensors")
    merged = load_file(tmp_path / "out.safetensors")
    assert merged["x"].tolist() == [1.0, 1.0, 1.5]
    assert merged["n"].tolist() == [7] and merged["only"].tolist() == [1.0, 1.0]
    assert said.splitlines()[0].endswith("out.safetensors: 0.75 x a.safetensors + 0.25 x b.safetensors")
    assert "1 tensors are in a.safetensors alone" in said
    with safe_open(tmp_path / "out.safetensors", framework="pt") as opened:
        assert opened.metadata()["merged"] == "0.75 x a.safetensors + 0.25 x b.safetensors"


def test_an_added_difference_by_hand(files: list[Path], tmp_path: Path) -> None:
    merge_models(*files, 0.5, tmp_path / "out.safetensors")
    assert load_file(tmp_path / "out.safetensors")["x"].tolist() == [1.5, 1.0, 1.5]


def test_the_sum_is_rounded_once_to_the_data_type_of_the_first(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = (torch.randn(1000) for _ in range(2))
    save_file({"x": first.half()}, tmp_path / "a.safetensors")
    save_file({"x": second}, tmp_path / "b.safetensors")
    merge_models(tmp_path / "a.safetensors", tmp_path / "b.safetensors", None, 0.3, tmp_path / "o.safetensors")
    merged = load_file(tmp_path / "o.safetensors")["x"]
    assert merged.dtype is torch.float16
    assert torch.equal(merged, (first.half().float() + 0.3 * (second - first.half().float())).half())


def test_merged_folders_open_and_draw(model_folder: Callable[[str], Path], other: Path, tmp_path: Path) -> None:
    own = model_folder("stable_diffusion")
    write_seen(other, [Image.new("L", (8, 8), level) for level in (1, 2)])
    (other / "losses.csv").write_text("network,step,loss\n", encoding="utf-8")
    (other / "README.md").write_text("---\nlicense: openrail++\n---\n", encoding="utf-8")
    said = merge_models(other, own, None, 0.5, tmp_path / "merged")
    assert f"seen.safetensors has the images of {other.name}; those of {own.name} are unknown" in said
    assert len(read_seen(str(tmp_path / "merged")).trained) == 2 and not (tmp_path / "merged/losses.csv").exists()
    opened = [open_model(params(path), torch.device("cpu")).pipeline for path in (own, other, tmp_path / "merged")]
    for part in ("unet", "vae", "text_encoder"):
        a, b, merged = (dict(getattr(pipeline, part).named_parameters()) for pipeline in opened)
        assert any(not torch.equal(a[name], b[name]) for name in a) or part == "text_encoder"
        for name, value in merged.items():
            assert torch.allclose(value, (a[name] + b[name]) / 2, atol=1e-6)
    card = (tmp_path / "merged/README.md").read_text(encoding="utf-8")
    assert f"- {own.name}: not stated" in card and f"- {other.name}: openrail++" in card
    merge_models(tmp_path / "merged", own, None, 0.5, tmp_path / "again")
    again = (tmp_path / "again/README.md").read_text(encoding="utf-8")
    assert f"- {own.name}: not stated" in again and f"- {other.name}: openrail++" in again and "- merged" not in again
    assert not list(tmp_path.glob(".merged*"))


def test_a_part_that_one_of_them_lacks_stays(model_folder: Callable[[str], Path], other: Path, tmp_path: Path) -> None:
    """As the safety checker, which many a fine-tuned model leaves out."""
    own = model_folder("stable_diffusion")
    shutil.rmtree(other / "text_encoder")
    said = merge_models(own, other, None, 0.5, tmp_path / "merged")
    assert "text_encoder is not in all of them, and stays as it is in stable_diffusion" in said
    kept, first = (load_file(path / "text_encoder/model.safetensors") for path in (tmp_path / "merged", own))
    assert all(torch.equal(value, kept[name]) for name, value in first.items())


@pytest.fixture
def other(model_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """The same pipeline with other weights."""
    pipeline = StableDiffusionPipeline.from_pretrained(model_folder("stable_diffusion"))
    torch.manual_seed(1)
    with torch.no_grad():
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            for value in part.parameters():
                value.add_(0.1 * torch.randn_like(value))
    pipeline.save_pretrained(tmp_path / "other")
    return tmp_path / "other"


def test_merged_checkpoints_of_webui_open(model_folder: Callable[[str], Path], other: Path, tmp_path: Path) -> None:
    own = model_folder("stable_diffusion")
    first, second = (save_checkpoint(path, tmp_path / f"{n}.safetensors") for n, path in enumerate((own, other)))
    merge_models(first, second, None, 0.0, tmp_path / "out.safetensors")
    same, merged = load_file(first), load_file(tmp_path / "out.safetensors")
    assert all(torch.equal(value, merged[name]) for name, value in same.items())
    model = {"name": str(tmp_path / "out.safetensors"), "config": str(own)}
    assert open_model(params(model), torch.device("cpu")).pipeline.unet is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alpha": 1.5}, "merge-models: --alpha: found 1.5; allowed is 0"),
        ({"b": "nowhere.safetensors"}, "nowhere.safetensors: does not exist"),
        ({"b": "wide.safetensors"}, r"wide\.safetensors: x has the shape \[4\], and that of .*a\.safetensors \[3\]"),
        ({"b": "strange.safetensors"}, r"strange\.safetensors: has no tensor of a\.safetensors"),
        ({"b": "damaged.safetensors"}, r"damaged\.safetensors: not readable as \.safetensors"),
        ({"b": "."}, r"a\.safetensors is a file and \. a folder; all models must be of one kind"),
        ({"out": "b.safetensors"}, r"b\.safetensors: exists already"),
        ({"out": "out.ckpt"}, r"out\.ckpt: must end with \.safetensors"),
    ],
)
def test_what_does_not_fit_is_one_line(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"x": torch.zeros(4)}, "wide.safetensors")
    save_file({"y": torch.zeros(4)}, "strange.safetensors")
    Path("damaged.safetensors").write_bytes(files[0].read_bytes()[:40])
    given = {"a": "a.safetensors", "b": "b.safetensors", "alpha": 0.5, "out": "out.safetensors"} | change
    with pytest.raises(UserError, match=said) as caught:
        merge_models(Path(given["a"]), Path(given["b"]), None, given["alpha"], Path(given["out"]))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.tmp")) and not Path("out.safetensors").exists()


def test_the_mode_and_the_base_belong_together(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["diffaug", "merge-models", *map(str, files[:2]), "--alpha", "0.3", "--out", "x.safetensors"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--mode", "add_difference"])
    with pytest.raises(SystemExit, match="add_difference needs --base"):
        main()
