"""How well an image matches its prompt, by CLIP."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from diffaug.params.filter import Text
from diffaug.scoring.clip import open_clip
from diffaug.scoring.material import Columns, Material

MEASURED_BY = ("model", "prompt")


def measure(material: Material, params: Text) -> Columns:
    """text_similarity: cosine x 100 of the image and the prompt of its class (CLIPScore: Hessel et al. 2021,
    arXiv:2104.08718, without its factor); text_probability: 0 to 1, of that prompt among those of all real classes."""
    if not len(material.generated):
        return {"text_similarity": [], "text_probability": []}
    clip = open_clip(params.model, material.device, "filter.cls.text.model")
    prompts = clip.texts([params.prompt.replace("{class}", name) for name in material.names]).cpu()
    images = clip.records(material.generated.records, material, "text")
    labels = [record.label for record in material.generated]
    similarity, probability = agreement(images, prompts, labels, clip.scale)
    return {"text_similarity": similarity.tolist(), "text_probability": probability.tolist()}


def failures(row: Mapping[str, Any], params: Text) -> Iterator[tuple[str, bool]]:
    """The checks of the image, from its row of the ledger: reason, and whether it fails."""
    yield "not as its prompt", row["text_similarity"] < params.min_similarity
    yield "another class's prompt", row["text_probability"] < params.min_probability


def agreement(images: Tensor, prompts: Tensor, labels: list[int | None], scale: float) -> tuple[Tensor, Tensor]:
    """For unit vectors (N, D) and (C, D): the cosine x 100 with each label's prompt (N,), and its softmax over all
    classes (N,), not over the batch."""
    cosines = images @ prompts.T
    places = (range(len(labels)), labels)
    return 100 * cosines[places], (scale * cosines).softmax(dim=1)[places]
