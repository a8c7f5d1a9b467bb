"""What LoRA files call the layers of a model: dotted, as diffusers and peft; or as kohya's trainer and WebUI."""

import re

# kohya's beginnings for the text encoders: the first is that of a model with one, the second that of SDXL.
TEXTS = {"text_encoder": ("lora_te_", "lora_te1_"), "text_encoder_2": ("lora_te2_",)}
UNET = "lora_unet_"
_TEXT_MODEL = "text_model."  # inside CLIP's text encoders before transformers 5, and in kohya's names
# A U-Net's layers in a checkpoint of WebUI, whose separator is a dot, and in kohya's files for SDXL, where it is _.
_BLOCK = re.compile(r"(input_blocks|output_blocks)([._])(\d+)[._](\d+)[._](.+)|middle_block([._])(\d)[._](.+)")
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_ENDS = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}


def kohya_name(part: str, layer: str, layers_per_block: int | None) -> str:
    """kohya's name of an attention's layer, for Stable Diffusion 1 and 2, or SDXL if `layers_per_block` is given.

    part, layer: of the pipeline, such as "unet" and "mid_block.attentions.0.proj_in". The names of SDXL's U-Net are
    those of its checkpoint.
    """
    is_xl = layers_per_block is not None
    if part != "unet":
        return f"{TEXTS[part][-1 if is_xl else 0]}{_TEXT_MODEL}{layer.removeprefix(_TEXT_MODEL)}".replace(".", "_")
    if layers_per_block is not None:
        layer = _to_checkpoint(layer, layers_per_block + 1)
    return UNET + layer.replace(".", "_")


def _to_checkpoint(layer: str, per_block: int) -> str:
    """The name in a checkpoint of a layer inside an attention; other layers are returned as they are."""
    layer = layer.replace("mid_block.attentions.0.", "middle_block.1.")
    match = re.fullmatch(r"(down|up)_blocks\.(\d+)\.attentions\.(\d+)\.(.+)", layer)
    if match is None:
        return layer
    place = per_block * int(match[2]) + int(match[3])
    return f"input_blocks.{place + 1}.1.{match[4]}" if match[1] == "down" else f"output_blocks.{place}.1.{match[4]}"


def from_checkpoint(layer: str, layers_per_block: int) -> str:
    """The name in diffusers of a U-Net's layer in a checkpoint; . or _ between its parts. Others stay as they are."""
    for dot in "._":
        for old, new in _ENDS.items():
            if layer == old.replace(".", dot):
                return new.replace(".", dot)
    match = _BLOCK.fullmatch(layer)
    if match is None:
        return layer
    if match[1] is None:
        dot, place, rest = match[6], int(match[7]), match[8]
        names = ("mid_block", "attentions", "0") if place == 1 else ("mid_block", "resnets", str(place // 2))
        return dot.join([*names, _inner(rest, dot)])
    dot, place, inside, rest = match[2], int(match[3]), int(match[4]), match[5]
    is_down = match[1] == "input_blocks"
    block, number = divmod(place - 1 if is_down else place, layers_per_block + 1)
    if rest in ("op", "conv"):
        names = ("downsamplers" if is_down else "upsamplers", "0", "conv")
    else:
        names = ("attentions" if inside == 1 else "resnets", str(number), _inner(rest, dot))
    return dot.join(["down_blocks" if is_down else "up_blocks", str(block), *names])


def _inner(rest: str, dot: str) -> str:
    return {old.replace(".", dot): new for old, new in _RESNET.items()}.get(rest, rest)


def place_of(layer: str, parts: tuple[str, ...], layers_per_block: int) -> tuple[str, str]:
    """The part and the flat name (_ for each dot) of a layer that a LoRA file names in one of the usual ways.

    parts: the pipeline's networks, the one that draws first: files of DiffSynth leave out its name.
    """
    layer = layer.removeprefix("base_model.model.")
    for part, prefixes in TEXTS.items():
        for prefix in prefixes:
            if layer.startswith(prefix):
                return part, flat(layer.removeprefix(prefix))
    if layer.startswith(UNET):
        return parts[0], from_checkpoint(layer.removeprefix(UNET), layers_per_block)
    part, _, rest = layer.partition(".")
    return (part, flat(rest)) if part in parts else (parts[0], flat(layer))


def flat(layer: str) -> str:
    """The name with _ for each dot, and without the `text_model` that only some versions have."""
    return layer.replace(".", "_").removeprefix(_TEXT_MODEL.replace(".", "_"))
