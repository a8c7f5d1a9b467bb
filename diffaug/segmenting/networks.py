"""Networks that find objects: SAM (Kirillov et al. 2023, arXiv:2304.02643) and SAM 2 (Ravi et al. 2024,
arXiv:2408.00714) by a box or a point, CLIPSeg (Lüddecke and Ecker 2022, arXiv:2112.10003) by a text."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import (
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    Sam2Model,
    Sam2Processor,
    SamModel,
    SamProcessor,
)

from diffaug.hub.opening import opening
from diffaug.hub.weights import refuse_not_finite
from diffaug.pictures import grabcut
from diffaug.pictures.boxes import XYWH
from diffaug.segmenting.kinds import BY_TEXT, KEY, KINDS
from diffaug.segmenting.objects import Segment

_SURE = 0.8  # smallest IoU that SAM itself expects of a mask; SAM 2's authors keep masks from this on
_INSIDE = 0.8  # share of a mask that lies in the box for which SAM was asked; otherwise it is something else
_LIKELY = 0.4  # smallest probability of a pixel of CLIPSeg's text; a usual value

Output = tuple[np.ndarray, np.ndarray]  # masks, bool (3, H, W), and their expected IoU, float (3,)


def open_network(kind: str, folder: Path, variant: str | None, device: torch.device) -> Segment:
    """The network of this model_type in a folder. Raises UserError if it cannot be opened."""
    model: Any
    processor: Any
    model, processor = {
        BY_TEXT: (CLIPSegForImageSegmentation, CLIPSegProcessor),
        "sam": (SamModel, SamProcessor),
    }.get(kind, (Sam2Model, Sam2Processor))
    failed = f"params.yaml: {KEY}: transformers cannot open {folder} as a {KINDS[kind]}"
    with opening(failed, folder):
        prepare = processor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        network, report = model.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            variant=variant,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
        )
        if report["missing_keys"]:  # the library would initialise them at random
            raise ValueError(f"it has no weights for {sorted(report['missing_keys'])[0]}")
        refuse_not_finite(network.state_dict(), f"params.yaml: {KEY}: {folder}")
    network = network.to(device).eval()
    if kind == BY_TEXT:
        return _by_text(network, prepare, device)
    return _by_place(network, prepare, device)


def _by_place(network: Any, prepare: Any, device: torch.device) -> Segment:
    """SAM: asked for the object in the box or at the image's middle; its masks, the best first."""
    ask = _asking(network, prepare, device)

    def segment(image: Image.Image, box: XYWH | None, name: str) -> Sequence[np.ndarray]:
        masks, expected = ask(image.convert("RGB"), box)
        ordered = [masks[number] for number in np.argsort(-expected, kind="stable") if expected[number] >= _SURE]
        if box is None:
            return [mask for mask in ordered if mask[image.height // 2, image.width // 2]]
        left, top, right, bottom = grabcut.inside(box, image.size)
        return [mask for mask in ordered if mask[top:bottom, left:right].sum() >= _INSIDE * max(1, mask.sum())]

    return segment


def _asking(network: Any, prepare: Any, device: torch.device) -> Callable[[Image.Image, XYWH | None], Output]:
    @torch.inference_mode()
    def ask(image: Image.Image, box: XYWH | None) -> Output:
        where: dict[str, Any] = {"input_points": [[[[image.width / 2, image.height / 2]]]], "input_labels": [[[1]]]}
        if box is not None:
            where = {"input_boxes": [[[box[0], box[1], box[0] + box[2], box[1] + box[3]]]]}
        inputs = prepare(images=image, return_tensors="pt", **where)
        sizes = [inputs.pop("original_sizes")]
        if "reshaped_input_sizes" in inputs:  # of SAM, which pads an image to a square; SAM 2 stretches it
            sizes.append(inputs.pop("reshaped_input_sizes"))
        inputs = {key: _fitting(value, device) for key, value in inputs.items()}
        found = network(**inputs, multimask_output=True)
        masks = prepare.image_processor.post_process_masks(found.pred_masks.cpu(), *sizes)[0]
        return masks[0].numpy(), found.iou_scores[0, 0].float().cpu().numpy()

    return ask


def _fitting(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    return value.to(device, torch.float32 if value.is_floating_point() else value.dtype)


def _by_text(network: Any, prepare: Any, device: torch.device) -> Segment:
    """CLIPSeg: where the image shows what the text says."""

    @torch.inference_mode()
    def segment(image: Image.Image, box: XYWH | None, name: str) -> Sequence[np.ndarray]:
        pixels = prepare(images=image.convert("RGB"), return_tensors="pt")
        words = prepare.tokenizer([name], return_tensors="pt", padding=True, truncation=True)
        logits = network(**{key: value.to(device) for key, value in {**pixels, **words}.items()}).logits
        logits = logits.reshape(1, 1, *logits.shape[-2:]).float()
        whole = F.interpolate(logits, size=(image.height, image.width), mode="bilinear", align_corners=False)
        return [(whole[0, 0].sigmoid() >= _LIKELY).cpu().numpy()]

    return segment
