import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from condition_models import dpt, segformer
from PIL import Image, ImageDraw
from safetensors.torch import load, load_file, save_file
from transformers import SegformerModel, pipeline

from diffaug.generation.drawing.conditions import Conditions, canny, depth_picture, find_control, region_picture
from diffaug.generation.drawing.palette import ADE20K
from diffaug.hub.locate import locate_network
from diffaug.params.base import ModelName
from diffaug.params.generate import ControlNet
from diffaug.runtime.errors import UserError

SQUARE = """
................
................
.....######.....
....#......#....
...#.......#....
...#.......#....
...#.......#....
...#.......#....
....########....
................
................
................
"""


def square(shade: int, mode: str = "L") -> Image.Image:
    """A square on black: columns 4 to 11, rows 3 to 8."""
    image = Image.new("L", (16, 12))
    ImageDraw.Draw(image).rectangle([4, 3, 11, 8], fill=shade)
    return image.convert(mode)


def noise(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(256, size=(24, 40, 3), dtype=np.uint8))


def given(condition: str, helper: Path | None, **settings: Any) -> ControlNet:
    named = {"model": "./controlnet"} | ({"condition_model": str(helper)} if helper else {}) | settings
    names = {key: ModelName(name=named.pop(key)) for key in ("model", "condition_model") if key in named}
    return ControlNet(weight=1.0, condition=condition, scale=1.0, **names, **named)


def conditions(condition: str, model: Path | None = None, **settings: Any) -> Conditions:
    mode = given(condition, model, **settings)
    network = locate_network(mode.condition_model, "condition_model") if mode.condition_model else None
    return Conditions(mode, network, torch.device("cpu"))


@pytest.fixture(scope="module")
def depth_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dpt(tmp_path_factory.mktemp("depth"))


@pytest.fixture(scope="module")
def region_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return segformer(tmp_path_factory.mktemp("regions"))


def test_canny_draws_the_edges_of_a_square() -> None:
    edges = np.asarray(canny(square(255, "RGB"), 100, 200))
    drawn = np.array([[mark == "#" for mark in row] for row in SQUARE.split()])
    assert np.array_equal(edges, np.repeat(drawn[..., None] * 255, 3, axis=2))


@pytest.mark.parametrize(
    ("low", "high", "pixels"),
    # A step of 30 grey levels has a gradient of 4 x 30 along an edge; at a corner it is larger, but below 300.
    [(50, 100, 24), (100, 119, 24), (300, 400, 0), (119, 1000, 0)],
)
def test_thresholds_of_canny(low: int, high: int, pixels: int) -> None:
    edges = conditions("canny", canny=[low, high]).picture("a", square(30))
    assert (edges.mode, edges.size) == ("RGB", (16, 12))
    assert (np.asarray(edges)[..., 0] > 0).sum() == pixels


@pytest.mark.parametrize(
    ("depth", "grey"),
    [
        ([[1.0, 2.0], [3.0, 5.0]], [[0, 64], [128, 255]]),
        ([[-10.0, 0.0, 10.0]], [[0, 128, 255]]),
        ([[7.0, 7.0]], [[0, 0]]),
    ],
)
def test_depth_goes_from_black_to_white(depth: list[list[float]], grey: list[list[int]]) -> None:
    picture = np.asarray(depth_picture(np.array(depth, dtype=np.float32)))
    assert picture.tolist() == [[[value] * 3 for value in row] for row in grey]


def test_regions_have_the_colours_of_ade20k() -> None:
    picture = np.asarray(region_picture(np.array([[0, 1, 2], [13, 21, 149]])))
    wall, building, sky, earth, water, flag = ADE20K[0], ADE20K[1], ADE20K[2], ADE20K[13], ADE20K[21], ADE20K[149]
    assert picture.tolist() == [[list(c) for c in (wall, building, sky)], [list(c) for c in (earth, water, flag)]]
    assert (wall, building, sky, flag) == ((120, 120, 120), (180, 120, 120), (6, 230, 230), (92, 0, 255))
    assert len(ADE20K) == 150


@pytest.mark.parametrize("labels", [[[0, 150]], [[-1, 3]], [[255, 255]]])
def test_other_classes_than_ade20ks_are_refused(labels: list[list[int]]) -> None:
    low, high = min(labels[0]), max(labels[0])
    with pytest.raises(
        UserError, match=f"condition_model: it predicts class numbers from {low} to {high}; take a model"
    ):
        region_picture(np.array(labels))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_depth_is_what_the_library_predicts(depth_model: Path, mode: str) -> None:
    image = noise().convert(mode)
    picture = conditions("depth", depth_model).picture("a", image)
    assert (picture.mode, picture.size) == ("RGB", (40, 24))
    expected = pipeline("depth-estimation", model=str(depth_model))(image.convert("RGB"))["depth"]
    assert np.abs(np.asarray(picture, dtype=int)[..., 0] - np.asarray(expected, dtype=int)).max() <= 1
    assert picture.getextrema() == ((0, 255),) * 3


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_regions_are_what_the_library_predicts(region_model: Path, mode: str) -> None:
    image = noise().convert(mode)
    picture = np.asarray(conditions("segmentation", region_model).picture("a", image))
    assert picture.shape == (24, 40, 3)
    segments = pipeline("image-segmentation", model=str(region_model))(image.convert("RGB"))
    assert len(segments) > 1
    for segment in segments:
        color = ADE20K[int(segment["label"].removeprefix("LABEL_"))]
        assert (picture[np.asarray(segment["mask"]) > 0] == color).all()


def test_a_picture_is_made_once_for_a_name() -> None:
    drawing = conditions("canny", canny=[100, 200])
    first = drawing.picture("a", square(255))
    assert drawing.picture("a", square(0)) is first
    assert drawing.picture("b", square(0)) != first


def test_the_network_that_helps_is_named_by_its_hash(depth_model: Path, region_model: Path) -> None:
    networks = {"depth": depth_model, "segmentation": region_model}
    hashes = {kind: locate_network(ModelName(name=str(path)), "key").sha256 for kind, path in networks.items()}
    for kind, path in networks.items():
        found = find_control(given(kind, path, model=str(region_model)))
        assert found is not None and found.fingerprint().split()[:2] == [hashes["segmentation"], hashes[kind]]
    edges = [find_control(given("canny", path, model=str(depth_model), canny=[1, 2])) for path in (depth_model, None)]
    assert edges[0] is not None and edges[1] is not None
    assert edges[0].fingerprint() == edges[1].fingerprint()


@pytest.mark.parametrize("kind", ["another", "beheaded", "unprepared"])
def test_a_network_that_does_not_fit_is_refused(
    depth_model: Path, region_model: Path, tmp_path: Path, kind: str
) -> None:
    folder = Path(shutil.copytree(region_model, tmp_path / "model"))
    if kind == "another":
        folder = depth_model
    elif kind == "beheaded":
        SegformerModel.from_pretrained(region_model).save_pretrained(folder)
    else:
        (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"condition_model: .* cannot open .* as a segmentation model \(") as caught:
        conditions("segmentation", folder)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"condition_model: .* cannot open .* as a depth model \("):
        conditions("depth", region_model)


def test_a_weight_that_is_not_used_may_be_absent(depth_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(depth_model, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    # As in Intel/dpt-large: the first fusion has no second input, so this layer has no effect.
    used = {key: value for key, value in weights.items() if ".layers.0.residual_layer1." not in key}
    assert len(used) < len(weights)
    save_file(used, folder / "model.safetensors", metadata={"format": "pt"})
    pictures = [conditions("depth", path).picture("a", noise()) for path in (depth_model, folder)]
    assert pictures[0] == pictures[1]


def test_a_condition_model_with_weights_that_are_not_finite_is_refused(depth_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(depth_model, tmp_path / "model"))
    weights = load((folder / "model.safetensors").read_bytes())
    name = sorted(weights)[0]
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"condition_model: .*/model: \S+ has weights that are not finite numbers"):
        conditions("depth", folder)


def test_a_condition_model_of_custom_code_is_refused_in_own_words(depth_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(depth_model, tmp_path / "model"))
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModelForDepthEstimation": "mine.Net"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"^.*/model/config\.json: names custom code, which never runs here; take a"):
        conditions("depth", folder)
