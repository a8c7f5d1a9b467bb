"""How a synthetic image was made: the columns of its row, and a JSON text for the other settings."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from diffaug.params.base import ModelName

_PASTED, _PARTS, _CONTROLNET = "pasted", "parts", "controlnet"


@dataclass(frozen=True)
class Part:
    """The part of a real scene that is redrawn.

    region: (left, top, right, bottom) in the pixels of the scene; object: the number of the box that is redrawn, -1 for
    none; padding, feather: pixels, see `diffaug.pictures.masks`.
    """

    region: tuple[int, int, int, int]
    object: int = -1
    padding: int = 0
    feather: int = 0


@dataclass(frozen=True)
class DrawnPart:
    """A part, and the settings with which it was drawn."""

    part: Part
    prompt: str
    seed: int
    strength: float


@dataclass(frozen=True)
class Composition:
    """The differences of a scene from its photograph: the (left, top, width, height) of pasted objects, and the redrawn
    parts."""

    pasted: tuple[tuple[int, int, int, int], ...] = ()
    parts: tuple[DrawnPart, ...] = ()

    @classmethod
    def read(cls, settings: str | None) -> "Composition":
        """From the column `settings` of a row."""
        content = json.loads(settings or "{}")
        parts = tuple(
            DrawnPart(
                Part(tuple(one["region"]), one["object"], one["padding"], one["feather"]),
                *(one["prompt"], one["seed"], one["strength"]),
            )
            for one in content.get(_PARTS, [])
        )
        return cls(tuple(tuple(box) for box in content.get(_PASTED, [])), parts)

    def content(self) -> dict[str, Any]:
        """The content that `read` reads."""
        parts = [
            asdict(one.part) | {"prompt": one.prompt, "seed": one.seed, "strength": one.strength} for one in self.parts
        ]
        return {key: value for key, value in ((_PASTED, list(self.pasted)), (_PARTS, parts)) if value}


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The columns that describe how a synthetic image was made; all None for a real one.

    source_id: the real train image from which it was made; strength: 0 to 1, how much it was changed; flagged: the
    result of the model's safety checker; index: its number among the images of its mode; draw: the training seed for
    which it was made, None if for all.
    """

    source_id: str | None = None
    mode: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    strength: float | None = None
    guidance_scale: float | None = None
    steps: int | None = None
    scheduler: str | None = None
    model: str | None = None
    revision: str | None = None
    weights_sha256: str | None = None
    licence: str | None = None
    eta: float | None = None
    flagged: bool | None = None
    index: int | None = None
    draw: int | None = None


@dataclass(frozen=True, kw_only=True)
class Provenance(Lineage):
    """The same while an image is made. settings: what has no column of its own (size of the canvas, LoRAs, ControlNet,
    ...); composition: of a scene."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    composition: Composition = Composition()

    def columns(self) -> dict[str, Any]:
        """The values of the columns by name, `settings` and the composition as one JSON text."""
        own = {name: value for name, value in vars(self).items() if name not in ("settings", "composition")}
        content = {**self.settings, **self.composition.content()}
        return own | {"settings": json.dumps(content, sort_keys=True)}


def models_of(model: str | None, licence: str | None, settings: str | None) -> set[tuple[str, str | None]]:
    """The models that drew a row's image, each with its licence, from the row's columns of these names."""
    content = json.loads(settings or "{}")
    found = {(model, licence)} if model else set()
    if content.get(_CONTROLNET):
        controlnet = ModelName.model_construct(**content[_CONTROLNET]["model"])  # checked when the params were read
        found.add((controlnet.label, content["controlnet_licence"]))
    return found
