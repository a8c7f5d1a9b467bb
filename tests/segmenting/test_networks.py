"""Each kind of network, with real parts and small weights: what it is asked, and what is taken of its answer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segmenters
import torch
from PIL import Image
from safetensors.torch import load, load_file, save_file
from segmenters import ellipses, inside
from transformers import Sam2VideoConfig

from diffaug.pictures.boxes import XYWH
from diffaug.runtime.errors import UserError
from diffaug.segmenting import networks
from diffaug.segmenting.kinds import kind_of
from diffaug.segmenting.networks import open_network
from diffaug.segmenting.objects import Segment

CPU = torch.device("cpu")
SIZE, LEFT, RIGHT = (90, 50), (6, 8, 38, 40), (50, 10, 84, 42)  # an image; left, top, right, bottom
MAKERS: dict[str, Callable[..., Path]] = {
    "sam": segmenters.sam,
    "sam2": segmenters.sam2,
    "clipseg": segmenters.clipseg,
}


def opened(folder: Path) -> Segment:
    return open_network(kind_of(folder), folder, None, CPU)


def xywh(box: segmenters.Box) -> XYWH:
    return float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])


def iou(mask: np.ndarray, wanted: np.ndarray) -> float:
    return float((mask & wanted).sum() / (mask | wanted).sum())


@pytest.mark.parametrize("box", [LEFT, RIGHT])
def test_sam_finds_the_object_in_a_box(taught_sam: Path, box: segmenters.Box) -> None:
    """The image is not square, and SAM sees it at another size."""
    found = opened(taught_sam)(ellipses(SIZE, {box: "cat"}), xywh(box), "")
    assert iou(found[0], inside(SIZE, box)) > 0.7


def test_sam_finds_the_object_in_the_middle(taught_sam: Path) -> None:
    box = (28, 10, 60, 42)
    found = opened(taught_sam)(ellipses(SIZE, {box: "cat"}), None, "")
    assert iou(found[0], inside(SIZE, box)) > 0.7


@pytest.mark.parametrize(("name", "box"), [("cat", LEFT), ("dog", RIGHT)])
def test_clipseg_finds_what_the_text_says(taught_clipseg: Path, name: str, box: segmenters.Box) -> None:
    image = ellipses(SIZE, {LEFT: "cat", RIGHT: "dog"})
    (found,) = opened(taught_clipseg)(image, None, name)
    assert iou(found, inside(SIZE, box)) > 0.6


@pytest.mark.parametrize(("kind", "scale"), [("sam", (64 / 90, 36 / 50)), ("sam2", (64 / 90, 64 / 50))])
def test_a_place_is_given_in_the_pixels_that_the_network_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, scale: tuple[float, float]
) -> None:
    """SAM scales the longer side to its input's; SAM 2 both sides."""
    asked: list[dict[str, Any]] = []
    segment = opened(MAKERS[kind](tmp_path / kind))
    owner = segmenters.SamModel if kind == "sam" else segmenters.Sam2Model
    forward = owner.forward

    def recorded(self: Any, *arguments: Any, **given: Any) -> Any:
        asked.append(given)
        return forward(self, *arguments, **given)

    monkeypatch.setattr(owner, "forward", recorded)
    image = ellipses(SIZE, {LEFT: "cat"})
    segment(image, (9.0, 5.0, 18.0, 20.0), "")
    segment(image, None, "")
    assert asked[0]["pixel_values"].shape == (1, 3, 64, 64)
    assert asked[0]["input_boxes"].tolist() == [
        [pytest.approx([9 * scale[0], 5 * scale[1], 27 * scale[0], 25 * scale[1]])]
    ]
    assert asked[1]["input_points"].tolist() == [[[pytest.approx([45 * scale[0], 25 * scale[1]])]]]
    assert asked[1]["input_labels"].tolist() == [[[1]]]


@pytest.mark.parametrize("kind", ["sam", "sam2"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_masks_have_the_size_of_the_image_the_surest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: str
) -> None:
    folder = MAKERS[kind](tmp_path / kind)
    weights = load_file(folder / "model.safetensors")
    bias = weights["mask_decoder.iou_prediction_head.proj_out.bias"]
    bias[:] = torch.tensor([0.0, 1.5, 2.5, 2.0])  # the first belongs to the mask that is not asked for
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setattr(networks, "_INSIDE", 0.0)
    image = ellipses(SIZE, {LEFT: "cat"}).convert(mode)
    found = opened(folder)(image, (0.0, 0.0, 90.0, 50.0), "")
    assert [(mask.shape, mask.dtype) for mask in found] == [((50, 90), np.dtype(bool))] * 3
    with torch.inference_mode():
        masks = _of_the_library(folder, image.convert("RGB"))
    assert [mask.tobytes() for mask in found] == [masks[number].tobytes() for number in (1, 2, 0)]


def _of_the_library(folder: Path, image: Image.Image) -> np.ndarray:
    """Its masks, bool (3, H, W), by its documented calls."""
    kinds = {
        "sam": (segmenters.SamModel, segmenters.SamProcessor),
        "sam2": (segmenters.Sam2Model, segmenters.Sam2Processor),
    }
    network, processor = (kind.from_pretrained(folder) for kind in kinds[folder.name])
    inputs = processor(images=image, input_boxes=[[[0.0, 0.0, 90.0, 50.0]]], return_tensors="pt")
    if folder.name == "sam":
        outputs = network(pixel_values=inputs["pixel_values"], input_boxes=inputs["input_boxes"].float())
        sizes = (inputs["original_sizes"], inputs["reshaped_input_sizes"])
        return processor.image_processor.post_process_masks(outputs.pred_masks, *sizes)[0][0].numpy()
    outputs = network(**{key: inputs[key] for key in ("pixel_values", "input_boxes")})
    return processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])[0][0].numpy()


def test_a_mask_that_sam_itself_doubts_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_INSIDE", 0.0)
    image, box = ellipses(SIZE, {LEFT: "cat"}), (0.0, 0.0, 90.0, 50.0)
    assert len(opened(segmenters.sam(tmp_path / "sure", sure=0.81))(image, box, "")) == 3
    assert opened(segmenters.sam(tmp_path / "unsure", sure=0.79))(image, box, "") == []


def test_a_mask_of_something_else_than_the_box_is_not_taken(taught_sam: Path) -> None:
    """It finds the only ellipse, wherever it is asked."""
    image, segment = ellipses(SIZE, {LEFT: "cat"}), opened(taught_sam)
    assert len(segment(image, xywh(LEFT), "")) == 3
    assert segment(image, (18.0, 20.0, 8.0, 8.0), "") == []


def test_a_long_name_is_cut_off(tmp_path: Path) -> None:
    (found,) = opened(segmenters.clipseg(tmp_path / "clipseg"))(ellipses(SIZE, {}), None, "a photo of a cat " * 60)
    assert found.shape == (50, 90)


def test_a_video_model_of_sam_2_is_opened_as_one_for_images(tmp_path: Path) -> None:
    """Its published weights come with the configuration of a video model, and with weights of its memory."""
    folder = segmenters.sam2(tmp_path / "sam2")
    image, box = ellipses(SIZE, {LEFT: "cat"}), (0.0, 0.0, 90.0, 50.0)
    before = opened(folder)(image, box, "")
    config = json.loads((folder / "config.json").read_text())
    parts = {key: config[key] for key in ("vision_config", "prompt_encoder_config", "mask_decoder_config")}
    Sam2VideoConfig(**parts).save_pretrained(folder)
    weights = load((folder / "model.safetensors").read_bytes())
    save_file(weights | {"memory_temporal_positional_encoding": torch.zeros(7, 1, 1, 16)}, folder / "model.safetensors")
    assert kind_of(folder) == "sam2_video"
    assert [mask.tobytes() for mask in opened(folder)(image, box, "")] == [mask.tobytes() for mask in before]


@pytest.mark.parametrize("found", ["segformer", None, ["sam"]])
def test_another_kind_is_refused(tmp_path: Path, found: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": found}))
    with pytest.raises(UserError) as caught:
        kind_of(tmp_path)
    assert str(caught.value).startswith(
        f"params.yaml: generate.segmenter: {tmp_path / 'config.json'}: model_type: found"
    )
    assert str(caught.value).endswith(
        "allowed are sam, sam2, sam2_video, clipseg (SAM, SAM 2, CLIPSeg as transformers saves them)"
    )


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("fault", ["without a processor", "without weights", "not finite", "without a part"])
def test_a_damaged_network_is_refused_in_one_line(tmp_path: Path, kind: str, fault: str) -> None:
    folder = MAKERS[kind](tmp_path / "model")
    place = folder / "model.safetensors"
    if fault == "without a processor":
        (folder / "processor_config.json").unlink()
    elif fault == "without weights":
        place.write_bytes(place.read_bytes()[:100])
    else:
        weights = load(place.read_bytes())
        name = next(key for key in sorted(weights) if "decoder" in key and key.endswith("weight"))
        if fault == "not finite":
            weights[name].view(-1)[0] = float("nan")
        else:
            del weights[name]
        save_file(weights, place, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"^params\.yaml: generate\.segmenter: .*model") as caught:
        opened(folder)
    assert "\n" not in str(caught.value)


def test_custom_code_never_runs(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(segmenters.sam(tmp_path / "sam"), tmp_path / "copy"))
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "evil.Net"}}))
    assert isinstance(opened(folder)(ellipses(SIZE, {}), None, ""), list)
