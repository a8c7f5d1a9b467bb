"""How near the images of a cell of `diffaug sheet` come to real ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from diffaug.commands.axes import Axis
from diffaug.commands.pictures import read_pictures
from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import SPLITS, ImageSet, Record, make_record
from diffaug.params import Params
from diffaug.runtime.errors import UserError
from diffaug.scoring.kid import kid_with_error
from diffaug.scoring.material import Material
from diffaug.scoring.networks import Features, open_network

_LEAST = 100  # images
_NO_REAL = "sheet: --kid: no real images to compare with, but for those that are drawn over; give --real FOLDER"


@dataclass(frozen=True)
class Nearness:
    """Measures how near images come to the real ones by KID, in a network's features."""

    network: Features
    real: tuple[Record, ...]

    def __call__(self, images: Sequence[Image.Image]) -> tuple[float, float]:
        """KID and its standard error."""
        made = [make_record(str(number), encode_png(image), "train") for number, image in enumerate(images)]
        return kid_with_error(self.network(self.real), self.network(made))


def check_kid(axes: Sequence[Axis], kid: int | None, real: Path | None, needs_real: bool) -> None:
    """Raises UserError if a KID cannot be measured so. needs_real: what is drawn has no real images."""
    if kid is None:
        if real is not None:
            raise UserError("sheet: --real: no KID is measured; give the number of images in each cell with --kid")
    elif kid < _LEAST:
        raise UserError(f"sheet: --kid: found {kid}, but a KID of few images says nothing; give {_LEAST} or more")
    elif any(axis.name == "seed" for axis in axes):
        raise UserError("sheet: seed: each cell has images of many seeds with --kid; leave out one of them")
    elif real is None and needs_real:
        raise UserError(_NO_REAL)


def nearness_to(params: Params, task: str, train: Sequence[Record], folder: Path | None) -> Nearness:
    """KID to the pictures of a folder or, without one, to the real train images of the task.

    The network is that of `filter`'s quality. Raises UserError if there are too few images, or if that is missing.
    """
    if folder is None and not train:
        raise UserError(_NO_REAL)
    real = read_pictures(folder) if folder is not None else train
    where = folder or f"data/real/{task}/train"
    if len(real) < _LEAST:
        raise UserError(f"{where}: {len(real)} images are too few for a KID that says something; {_LEAST} are needed")
    key = f"filter.{task}.quality"
    quality = getattr(params.filter, task).quality
    if quality is None:
        raise UserError(
            f"params.yaml: {key}: null, but its network is needed for KID; see params.yaml of a new project"
        )
    sets = {split: ImageSet((), ()) for split in SPLITS}
    material = Material(task, params.seeds[0], params.filter.against, sets, ImageSet((), ()))
    if quality.network == "control" and not material.control.is_dir():
        raise UserError(
            f"params.yaml: {key}.network: control, which the pipeline trains, and {material.control} is missing; run "
            "`dvc repro`, or name a network of torchvision or of the hub"
        )
    return Nearness(open_network(quality.network, material, f"{key}.network"), tuple(real))
