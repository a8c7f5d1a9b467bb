"""Networks of super-resolution out of files: found by their weights, applied in tiles, without running a pickle."""

from pathlib import Path

import numpy as np
import pytest
import small_upscalers
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from spandrel.architectures.Compact import Compact
from torchvision.transforms.functional import pil_to_tensor

from diffaug.enlarging.networks import open_network
from diffaug.enlarging.tiles import enlarge
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")


def photo(width: int, height: int) -> Image.Image:
    """Edges and smooth parts."""
    noise = np.random.default_rng(0).integers(256, size=(height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def large(path: Path, one: Image.Image, tile: int, dtype: torch.dtype | None = None) -> np.ndarray:
    return np.asarray(enlarge(one, open_network(path, CPU, dtype), tile, lambda: None)).astype(int)


def test_a_network_gives_what_it_gives_in_its_library(tmp_path: Path) -> None:
    path = small_upscalers.compact(tmp_path / "a.safetensors")
    network, one = Compact(num_feat=8, num_conv=2, upscale=2), photo(40, 30)
    network.load_state_dict(load_file(path))
    with torch.inference_mode():
        expected = network(pil_to_tensor(one)[None] / 255)[0].clamp(0, 1) * 255
    found = large(path, one, 0)
    assert np.array_equal(found, expected.round().permute(1, 2, 0).numpy())
    assert found.std() > 20  # it is a picture


def test_tiles_leave_no_seam(tmp_path: Path) -> None:
    """A pixel of this network depends on four around it, and eight are left out at the edge of a tile."""
    path, one = small_upscalers.compact(tmp_path / "a.safetensors"), photo(200, 150)
    assert np.abs(large(path, one, 64) - large(path, one, 0)).max() <= 1


def test_tiles_of_an_esrgan_leave_hardly_a_trace(tmp_path: Path) -> None:
    """Its pixels depend on more than 16 around them, but on the far ones little."""
    path, one = small_upscalers.esrgan(tmp_path / "a.safetensors"), photo(130, 90)
    network = open_network(path, CPU)
    assert (network.name, network.scale, network.tile) == ("a.safetensors", 4, 512)
    difference = np.abs(large(path, one, 64) - large(path, one, 0))
    assert difference.max() <= 3 and difference.mean() < 0.2


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 2)])
def test_small_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    path = small_upscalers.esrgan(tmp_path / "a.safetensors", 2)
    assert large(path, photo(*size), 512).shape == (size[1] * 2, size[0] * 2, 3)


def test_a_pickled_file_gives_its_moving_average(tmp_path: Path) -> None:
    pickled, safe = (small_upscalers.compact(tmp_path / name) for name in ("a.pth", "a.safetensors"))
    assert np.array_equal(large(pickled, photo(20, 20), 0), large(safe, photo(20, 20), 0))


def test_a_network_for_grey_gets_each_colour(tmp_path: Path) -> None:
    path, one = small_upscalers.compact(tmp_path / "a.safetensors", channels=1), photo(20, 16)
    found = large(path, one, 0)
    for channel, band in enumerate(one.split()):
        alone = large(path, Image.merge("RGB", [band] * 3), 0)
        assert np.array_equal(found[..., channel], alone[..., 0])


def test_numbers_too_large_for_16_bits_are_computed_in_32(tmp_path: Path) -> None:
    path, one = small_upscalers.compact(tmp_path / "a.safetensors"), photo(20, 16)
    weights = load_file(path)
    weights["body.0.weight"], weights["body.0.bias"] = weights["body.0.weight"] * 1e6, weights["body.0.bias"] * 1e6
    weights["body.2.weight"] = weights["body.2.weight"] / 1e6
    save_file(weights, path)
    assert np.array_equal(large(path, one, 0, torch.float16), large(path, one, 0))


class _Touches:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"params": Compact(num_feat=8, num_conv=2).state_dict(), "other": _Touches(mark)}, tmp_path / "a.pth")
    try:
        open_network(tmp_path / "a.pth", CPU)
    except UserError as error:
        assert "\n" not in str(error)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["damaged", "no number", "classifier", "misfit"])
def test_what_is_no_such_network_is_one_line(tmp_path: Path, kind: str) -> None:
    path = small_upscalers.compact(tmp_path / "a.safetensors")
    weights = load_file(path)
    if kind == "damaged":
        path.write_bytes(path.read_bytes()[:-9])
    elif kind == "no number":
        save_file(weights | {"body.0.bias": torch.full((8,), torch.nan)}, path)
    elif kind == "classifier":
        save_file({"fc.weight": torch.zeros(3, 4)}, path)
    else:
        save_file(weights | {"body.2.weight": torch.zeros(9, 8, 3, 3)}, path)
    said = {
        "damaged": r"a\.safetensors: not readable as \.safetensors",
        "no number": r"a\.safetensors: body\.0\.bias has weights that are not finite numbers",
        "classifier": r"a\.safetensors: is no network of super-resolution that spandrel knows",
        "misfit": r"a\.safetensors: is no network .* \(.*size mismatch",
    }
    with pytest.raises(UserError, match=said[kind]) as caught:
        open_network(path, CPU)
    assert "\n" not in str(caught.value)
