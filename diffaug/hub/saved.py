"""A classifier or detector saved here, in its folder: model.json and model.safetensors."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from diffaug.hub.configs import MAX_CLASSES, read_facts
from diffaug.hub.weights import refuse_not_finite
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import check_seal

_AGAIN = "run `dvc pull`, or train the model again"
_Two = Annotated[list[float], Field(min_length=2, max_length=2)]
_Three = Annotated[list[float], Field(min_length=3, max_length=3)]


class Preprocessing(BaseModel):
    """How an image becomes the network's input: `range` are the values of the levels 0 and 255 before the mean is taken
    off and the deviation divided by; `padding` is the grey level around a letterbox, whose sides are multiples."""

    model_config = ConfigDict(frozen=True, strict=True)

    colour: Literal["RGB"] = "RGB"
    resize: Literal["stretch", "letterbox"]
    filter: Literal["lanczos", "bilinear"]
    padding: Annotated[int, Field(ge=0, le=255)] | None = None
    multiple_of: Annotated[int, Field(ge=1, le=2048)] | None = None
    range: _Two = [0.0, 1.0]
    mean: _Three = [0.0, 0.0, 0.0]
    deviation: _Three = [1.0, 1.0, 1.0]

    def in_words(self, image_size: int) -> str:
        """One sentence for a card."""
        if self.resize == "stretch":
            size = f"stretched to {image_size} x {image_size} pixels"
        else:
            size = (
                f"scaled so that the longer side has {image_size} pixels, and padded on both sides with grey "
                f"{self.padding} to multiples of {self.multiple_of} pixels"
            )
        low, high = (f"{one:g}" for one in self.range)
        mean, deviation = (", ".join(f"{one:g}" for one in three) for three in (self.mean, self.deviation))
        return (
            f"{self.colour}, {size} ({self.filter}), levels 0 to 255 brought to {low} to {high}, minus the mean "
            f"({mean}), divided by the deviation ({deviation}) of the channels."
        )


class ClassifierFacts(BaseModel):
    """The content of a classifier's model.json."""

    model_config = ConfigDict(frozen=True, strict=True)

    model: str
    image_size: Annotated[int, Field(ge=16, le=2048)]
    names: Annotated[list[str], Field(min_length=1, max_length=MAX_CLASSES)]
    preprocessing: Preprocessing | None = None  # None: saved by an earlier version


class DetectorFacts(ClassifierFacts):
    """The content of a detector's model.json."""

    architecture: dict[str, Any]


Kind = TypeVar("Kind", bound=ClassifierFacts)


def read_saved(folder: Path, kind: type[Kind], what: str) -> Kind:
    """The content of the folder's model.json. Raises UserError if there is none, or if it is not as it was saved."""
    if not (folder / "model.json").exists():
        raise UserError(f"{folder}: no {what}; run `dvc repro` or `dvc pull` first")
    check_seal(folder)
    return read_facts(folder / "model.json", kind, _AGAIN)


def input_in_words(folder: Path) -> str:
    """How an image becomes the input of the folder's network, as one sentence. Raises UserError if it does not say."""
    facts = read_saved(folder, ClassifierFacts, "model")
    if facts.preprocessing is None:
        raise UserError(f"{folder / 'model.json'}: has no preprocessing; {_AGAIN}")
    return facts.preprocessing.in_words(facts.image_size)


def load_saved(model: nn.Module, folder: Path) -> None:
    """Load all weights of the folder. Raises UserError if they are absent, damaged, or of another model."""
    file = folder / "model.safetensors"
    try:
        model.load_state_dict(load_file(file))
    except FileNotFoundError:
        raise UserError(f"{file}: does not exist; {_AGAIN}") from None
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: is damaged, or not of the model in model.json ({reason}); {_AGAIN}") from None
    refuse_not_finite(model.state_dict(), str(file))
