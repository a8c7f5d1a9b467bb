"""Real images through the generator's VAE and back, at their own size: shows the effect of the VAE alone."""

import hashlib
from collections.abc import Sequence

import torch
from PIL import Image
from tqdm import tqdm

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record
from diffaug.diffusion.opening import Model
from diffaug.pictures.canvas import Canvas
from diffaug.runtime.errors import UserError

_MULTIPLE = 8


@torch.inference_mode()
def through_vae(records: Sequence[Record], model: Model) -> list[bytes]:
    """The records' images as PNGs of their own size and colour mode, each decoded from a sample of its latent's
    distribution, seeded by its id. Raises UserError if the pipeline has no such VAE."""
    found = model.found
    vae, processor = getattr(model.pipeline, "vae", None), getattr(model.pipeline, "image_processor", None)
    if vae is None or processor is None or not hasattr(vae, "encode"):
        raise UserError(f"merge.recipe vae_roundtrip: {found.label} has no VAE that encodes; choose another recipe")
    made = []
    for record in tqdm(records, desc="merge: through the VAE", unit="image", mininterval=1.0, leave=False):
        source = record.open()
        canvas = Canvas.fit(source.size, (_up(source.width), _up(source.height)), "pad")
        pixels = processor.preprocess(canvas.enter(source.convert("RGB"))).to(found.device, found.dtype)
        seed = int.from_bytes(hashlib.sha256(record.id.encode()).digest()[:7])
        latent = vae.encode(pixels)
        if hasattr(latent, "latent_dist"):
            code = latent.latent_dist.sample(torch.Generator().manual_seed(seed))
        else:
            code = latent[0]  # a tiny VAE has no distribution
        decoded = vae.decode(code).sample.float()
        if not decoded.isfinite().all():
            dtype = str(found.dtype).removeprefix("torch.")
            raise UserError(
                f"merge.recipe vae_roundtrip: {record.id}: the VAE of {found.label} gives pixels that are not finite "
                f"numbers in {dtype}; set generate.dtype: float32, or another generate.vae or generate.tiny_vae"
            )
        picture: Image.Image = processor.postprocess(decoded, output_type="pil")[0]
        made.append(encode_png(canvas.leave(picture, source).convert(source.mode)))
    return made


def _up(side: int) -> int:
    return -(-side // _MULTIPLE) * _MULTIPLE
