"""The section of generate that fits a large model into a small memory."""

from typing import Literal

from diffaug.params.base import Section

_SLICED = 4 * 512 * 512  # pixels: the VAE of Stable Diffusion needs 0.4 GiB for 512 x 512 of them in 16 bits


class MemoryParams(Section):
    """How a model is held in a memory that is too small for it; all of it costs time.

    offload: what waits in the machine's memory while it does not work: nothing, networks, or layers (group).
    vae_slicing: image by image; auto: in batches of more pixels than four images of 512 x 512. vae_tiling: in
    overlapping tiles, which changes large images a little. quantize: weights of linear layers in 8 bits.
    """

    offload: Literal["none", "model", "group"]
    vae_slicing: bool | Literal["auto"]
    vae_tiling: bool
    quantize: Literal["int8"] | None

    def slices(self, pixels: int) -> bool:
        """Whether the VAE works image by image; pixels: of a batch."""
        return pixels > _SLICED if self.vae_slicing == "auto" else self.vae_slicing
