"""Real objects that are free enough to be redrawn, and that can be cut out and pasted elsewhere."""

from collections.abc import Iterator, Sequence
from itertools import islice

from PIL import Image

from diffaug.dataset.records import ImageSet, Record
from diffaug.generation.plan.jobs import Job
from diffaug.params.generate import Paste
from diffaug.pictures.boxes import shared
from diffaug.pictures.squares import square
from diffaug.runtime.errors import UserError
from diffaug.segmenting.kinds import KEY
from diffaug.segmenting.objects import Objects

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


def cut_real(record: Record, number: int, names: Sequence[str], objects: Objects) -> Image.Image | None:
    """An object of a photograph without its background ("LA" or "RGBA"); None if they cannot be separated. names: of
    the classes."""
    image, box = record.open(), record.bbox[number]
    left, top, right, bottom = square(box, image.size, _AROUND)
    own = (box[0] - left, box[1] - top, box[2], box[3])
    return objects.cut(image.crop((left, top, right, bottom)), own, names[record.category[number]])


def objects_to_paste(paste: Paste, train: ImageSet, items: Sequence[Job], objects: Objects) -> list[list[str]]:
    """The drawn objects of every pasted class or, with `train`, its first `items_per_class` free objects that can be
    cut out.

    Raises UserError if a class has none.
    """
    pasted = pasted_classes(paste, train.names)
    if paste.objects == "generated":
        return [[job.id for job in items if job.label == label] for label in range(len(train.names))]
    by_class = [
        list(islice(_can_be_cut(train, label, objects), paste.items_per_class)) if label in pasted else []
        for label in range(len(train.names))
    ]
    empty = [train.names[label] for label in pasted if not by_class[label]]
    if empty:
        found = ", ".join(f"{len(by_class[label])} of {train.names[label]}" for label in pasted)
        others = [train.names[label] for label in pasted if by_class[label]]
        another = "another" if objects.segmenter else "a"
        out = f"leave them out with classes: [{', '.join(others)}]" if others else "remove paste"
        raise UserError(
            f"params.yaml: generate.det.modes.paste.objects: no object of {', '.join(empty)} in train can be cut out: "
            f"each is covered by others, or {_reason(objects)} (objects that can be cut out, counted up to "
            f"items_per_class: {found}); {out}, or use objects: generated, or name {another} network in {KEY}"
        )
    return by_class


def pasted_classes(paste: Paste, names: Sequence[str]) -> list[int]:
    """The numbers of the classes whose objects are pasted. Raises UserError if `classes` names an unknown one."""
    unknown = [name for name in paste.classes or [] if name not in names]
    if unknown:
        raise UserError(
            f"params.yaml: generate.det.modes.paste.classes: there is no class {unknown[0]!r}; the classes are "
            f"{', '.join(names)}"
        )
    return [label for label, name in enumerate(names) if paste.classes is None or name in paste.classes]


def _can_be_cut(train: ImageSet, label: int, objects: Objects) -> Iterator[str]:
    for record in train:
        for number in free_objects(record):
            if record.category[number] == label and cut_real(record, number, train.names, objects):
                yield object_id(record, number)


def _reason(objects: Objects) -> str:
    return f"{objects.segmenter.name} does not find it" if objects.segmenter else "has the colours of its surroundings"
