"""Real objects that are free enough to be redrawn, and that can be cut out and pasted elsewhere."""

from collections.abc import Iterator, Sequence
from itertools import islice

from PIL import Image

from diffaug.dataset.records import ImageSet, Record
from diffaug.generation.plan.jobs import Job
from diffaug.params.generate import Paste
from diffaug.pictures.boxes import shared
from diffaug.pictures.cutout import cut_from_box
from diffaug.pictures.squares import square
from diffaug.runtime.errors import UserError

_CROWDED = 0.3  # if others cover more of an object, parts of them would be cut out with it
_AROUND = 1.5  # the part of a photograph around an object that shows its background, as a multiple of the box


def object_id(record: Record, number: int) -> str:
    """The name of a real object that is cut out and pasted."""
    return f"{record.id}#{number}"


def free_objects(record: Record) -> list[int]:
    """Numbers of the objects of which others cover only a little."""
    return [
        number
        for number, box in enumerate(record.bbox)
        if sum(shared(box, other) for place, other in enumerate(record.bbox) if place != number)
        <= _CROWDED * box[2] * box[3]
    ]


def cut_real(record: Record, number: int) -> Image.Image | None:
    """An object of a photograph without its background ("LA" or "RGBA"); None if they cannot be separated."""
    image, box = record.open(), record.bbox[number]
    left, top, right, bottom = square(box, image.size, _AROUND)
    return cut_from_box(image.crop((left, top, right, bottom)), (box[0] - left, box[1] - top, box[2], box[3]))


def objects_to_paste(paste: Paste, train: ImageSet, items: Sequence[Job]) -> list[list[str]]:
    """Every class's drawn objects or, with `train`, its first `items_per_class` free objects that can be cut out.

    Raises UserError if a class has none.
    """
    if paste.objects == "generated":
        return [[job.id for job in items if job.label == label] for label in range(len(train.names))]
    by_class = [list(islice(_can_be_cut(train, label), paste.items_per_class)) for label in range(len(train.names))]
    empty = [name for name, ids in zip(train.names, by_class) if not ids]
    if empty:
        raise UserError(
            f"params.yaml: generate.det.modes.paste.objects: no object of {', '.join(empty)} in train can be cut out: "
            "each is covered by others, or has the colours of its surroundings; use objects: generated"
        )
    return by_class


def _can_be_cut(train: ImageSet, label: int) -> Iterator[str]:
    for record in train:
        for number in free_objects(record):
            if record.category[number] == label and cut_real(record, number) is not None:
                yield object_id(record, number)
