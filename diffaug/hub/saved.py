"""A classifier or detector saved here, in its folder: model.json and model.safetensors."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from diffaug.hub.configs import MAX_CLASSES, read_facts
from diffaug.hub.weights import refuse_not_finite
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import check_seal

_AGAIN = "run `dvc pull`, or train the model again"


class ClassifierFacts(BaseModel):
    """The content of a classifier's model.json."""

    model_config = ConfigDict(frozen=True, strict=True)

    model: str
    image_size: Annotated[int, Field(ge=16, le=2048)]
    names: Annotated[list[str], Field(min_length=1, max_length=MAX_CLASSES)]


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
