"""What a model's U-Net gets beside the noisy latents: the encoded captions and, for SDXL and Kolors, more."""

from typing import Any

import torch

_CAPTIONS_AT_ONCE = 32


def text_encoders(pipeline: Any) -> dict[str, Any]:
    """The pipeline's text encoders by their names in it."""
    return {name: part for name, part in pipeline.components.items() if name.startswith("text_encoder") and part}


@torch.no_grad()
def fixed_conditions(pipeline: Any, captions: list[str], size: int, device: torch.device) -> dict[str, Any]:
    """The U-Net's conditions for all captions, encoded some at a time, with the text encoders on the device."""
    encoders = text_encoders(pipeline).values()
    for encoder in encoders:
        encoder.to(device)
    parts = [
        condition(pipeline, captions[start : start + _CAPTIONS_AT_ONCE], size, device)
        for start in range(0, len(captions), _CAPTIONS_AT_ONCE)
    ]
    for encoder in encoders:
        encoder.to("cpu")
    return _joined(parts)


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    return torch.cat(parts)


def condition(pipeline: Any, captions: list[str], size: int, device: torch.device) -> dict[str, Any]:
    """The U-Net's conditions for the captions: the text and, for SDXL and Kolors, the pooled text and the size."""
    encoded = pipeline.encode_prompt(
        prompt=captions, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    arguments: dict[str, Any] = {"encoder_hidden_states": encoded[0]}
    if pipeline.unet.config.addition_embed_type == "text_time":
        ids = torch.tensor([[size, size, 0, 0, size, size]], device=device, dtype=encoded[0].dtype)
        arguments["added_cond_kwargs"] = {"text_embeds": encoded[2], "time_ids": ids.expand(len(captions), -1)}
    return arguments


def rows_of(value: Any, rows: list[int]) -> Any:
    """The conditions of some captions, by their places."""
    return {key: rows_of(item, rows) for key, item in value.items()} if isinstance(value, dict) else value[rows]
