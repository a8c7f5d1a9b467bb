"""What a generator that diffaug trained can draw: a file beside its weights says it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from diffaug.hub.configs import read_facts
from diffaug.params.base import Context

LEARNED_FILE = "learned.json"


class _LearnedFacts(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    classes: list[str]
    context: Context
    token: str | None = None
    pixels: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=2, max_length=2)] | None = None


@dataclass(frozen=True)
class Learned:
    """What train_gen trained a model to draw, here or before it was published; other models do not state this.

    context: the side of its images, as a multiple of the object's; token: the word that it was taught, None if none;
    pixels: (width, height) of its images, if they are smaller than its canvas.
    """

    classes: tuple[str, ...] = ()
    context: float = 1.0
    token: str | None = None
    pixels: tuple[int, int] | None = None

    @classmethod
    def read(cls, folder: Path) -> "Learned":
        """What the model in the folder states. Raises UserError if the file is damaged."""
        if not (folder / LEARNED_FILE).exists():
            return cls()
        facts = read_facts(folder / LEARNED_FILE, _LearnedFacts)
        pixels = (facts.pixels[0], facts.pixels[1]) if facts.pixels else None
        return cls(tuple(facts.classes), facts.context, facts.token, pixels)
