"""Networks that find objects, small, saved in the hub's layout with their processors: of random weights, or after a few
steps in which they learn to find an ellipse, by its place or by the name of its colour."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from small_models import CAPTIONS
from torch.nn import functional as F
from transformers import (
    CLIPSegConfig,
    CLIPSegForImageSegmentation,
    CLIPSegProcessor,
    CLIPSegTextConfig,
    CLIPSegVisionConfig,
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2Processor,
    Sam2PromptEncoderConfig,
    Sam2VisionConfig,
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
    ViTImageProcessor,
)

from diffaug.generator_training.parts import TEXT_LENGTH, build_tokenizer

SIDE = 64  # pixels of the input


def sam(folder: Path, sure: float = 0.9) -> Path:
    """SAM; `sure`: the IoU that it expects of its masks."""
    torch.manual_seed(0)
    network = SamModel(
        SamConfig(
            vision_config=SamVisionConfig(
                hidden_size=16,
                output_channels=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=SIDE,
                patch_size=8,
                global_attn_indexes=[1],
                window_size=4,
                num_pos_feats=8,
                initializer_range=0.2,
            ).to_dict(),
            prompt_encoder_config=SamPromptEncoderConfig(
                hidden_size=16, image_size=SIDE, patch_size=8, mask_input_channels=4
            ).to_dict(),
            mask_decoder_config=SamMaskDecoderConfig(
                hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16
            ).to_dict(),
        )
    )
    _expect(network, sure)
    network.save_pretrained(folder)
    sizes = {"size": {"longest_edge": SIDE}, "pad_size": {"height": SIDE, "width": SIDE}}
    SamProcessor(SamImageProcessor(**sizes, mask_size={"longest_edge": 16})).save_pretrained(folder)
    return folder


def sam2(folder: Path, sure: float = 0.9) -> Path:
    """SAM 2 for single images."""
    torch.manual_seed(0)
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 2, 2, 2],
        global_attention_blocks=[3],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone.to_dict(),
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=16,
    )
    network = Sam2Model(
        Sam2Config(
            vision_config=vision.to_dict(),
            prompt_encoder_config=Sam2PromptEncoderConfig(
                hidden_size=16, image_size=SIDE, patch_size=16, mask_input_channels=4
            ).to_dict(),
            mask_decoder_config=Sam2MaskDecoderConfig(
                hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16
            ).to_dict(),
        )
    )
    _expect(network, sure)
    network.save_pretrained(folder)
    sizes = {"size": {"height": SIDE, "width": SIDE}, "mask_size": {"height": 16, "width": 16}}
    Sam2Processor(Sam2ImageProcessor(**sizes)).save_pretrained(folder)
    return folder


def clipseg(folder: Path) -> Path:
    """CLIPSeg."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer([*CAPTIONS, "a photo of a cow"])
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    text = CLIPSegTextConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **small,
    )
    vision = CLIPSegVisionConfig(image_size=SIDE, patch_size=8, **small)
    config = CLIPSegConfig(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=16,
        extract_layers=[0, 1],
        reduce_dim=16,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
        conditional_layer=0,
    )
    CLIPSegForImageSegmentation(config).save_pretrained(folder)
    images = ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    CLIPSegProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _expect(network: Any, sure: float) -> None:
    """Random weights expect an IoU near 0, or near 0.5, with which no mask is kept."""
    head = network.mask_decoder.iou_prediction_head
    torch.nn.init.zeros_(head.proj_out.weight)
    torch.nn.init.constant_(head.proj_out.bias, math.log(sure / (1 - sure)) if head.sigmoid_output else sure)


Box = tuple[int, int, int, int]  # left, top, right, bottom
COLORS = {"cat": "yellow", "dog": "cyan"}


def ellipses(size: tuple[int, int], drawn: dict[Box, str]) -> Image.Image:
    """Ellipses in their boxes, of the colour of a cat or a dog, on a ground of stripes, which is not plain."""
    stripes = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    stripes[:, ::4], stripes[:, 1::4] = (60, 0, 60), (0, 60, 0)
    image = Image.fromarray(stripes)
    for box, name in drawn.items():
        ImageDraw.Draw(image).ellipse(box, COLORS[name])
    return image


def inside(size: tuple[int, int], box: Box) -> np.ndarray:
    """bool (H, W): the pixels of the ellipse in a box."""
    image = Image.new("1", size)
    ImageDraw.Draw(image).ellipse(box, 1)
    return np.asarray(image)


def taught_sam(folder: Path) -> Path:
    """A SAM that finds an ellipse in a box or at a point; in 5 seconds."""
    sam(folder)
    network = SamModel.from_pretrained(folder)
    prepare = SamProcessor.from_pretrained(folder)
    for name, value in network.named_parameters():
        value.requires_grad = "iou_prediction_head" not in name

    def masks(images: list[Image.Image], boxes: list[Box], names: list[str], step: int) -> torch.Tensor:
        where: dict[str, Any] = {"input_boxes": [[[float(side) for side in box]] for box in boxes]}
        if step % 2:
            middles = [[[[(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]]] for box in boxes]
            where = {"input_points": middles, "input_labels": [[[1]]] * len(boxes)}
        inputs = {k: v for k, v in prepare(images=images, return_tensors="pt", **where).items() if "sizes" not in k}
        return network(**{k: v.float() if v.is_floating_point() else v for k, v in inputs.items()}).pred_masks[:, 0]

    return _teach(network, masks, folder, steps=120, count=1)


def taught_clipseg(folder: Path) -> Path:
    """A CLIPSeg that finds the ellipse of a name among two; in 5 seconds."""
    clipseg(folder)
    network = CLIPSegForImageSegmentation.from_pretrained(folder)
    prepare = CLIPSegProcessor.from_pretrained(folder)

    def masks(images: list[Image.Image], boxes: list[Box], names: list[str], step: int) -> torch.Tensor:
        inputs = prepare(text=names, images=images, return_tensors="pt", padding=True)
        return network(**inputs).logits[:, None]

    return _teach(network, masks, folder, steps=300, count=2)


def _teach(network: Any, masks: Callable[..., torch.Tensor], folder: Path, steps: int, count: int) -> Path:
    """count: how many ellipses an image has."""
    generator = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    network.train()
    for step in range(steps):
        images, boxes, names, wanted = [], [], [], []
        for number in range(8):
            width, height, top = generator.integers(16, 28, size=3).tolist()
            pair = [(left, top, left + width, top + height) for left in (generator.integers(2, 8), 34)]
            both = ["cat", "dog"] if generator.random() < 0.5 else ["dog", "cat"]
            chosen = slice(None) if count == 2 else slice(number % 2, number % 2 + 1)
            images.append(ellipses((SIDE, SIDE), dict(zip(pair[chosen], both[chosen]))))
            boxes.append(pair[number % 2])
            names.append(both[number % 2])
            wanted.append(inside((SIDE, SIDE), boxes[-1]))
        found = masks(images, boxes, names, step)
        target = F.interpolate(torch.tensor(np.stack(wanted))[:, None].float(), found.shape[-2:], mode="area")
        loss = F.binary_cross_entropy_with_logits(found, target.expand_as(found).round())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.save_pretrained(folder)
    return folder
