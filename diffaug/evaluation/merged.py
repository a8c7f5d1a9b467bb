"""What the verdict must say about the training sets of the merged arm, and how they were chosen."""

from collections.abc import Sequence

from diffaug.dataset.provenance import models_of
from diffaug.dataset.records import ImageSet, Record
from diffaug.hub.licence import licence_warning
from diffaug.params.merge import MergeParams
from diffaug.training.treatment import BLIND, SHORT


def remarks(task: str, sets: Sequence[ImageSet], params: MergeParams) -> set[str]:
    """Licences of the models that drew images, and images that are missing; sets: of each seed."""
    models = {model for images in sets for record in images for model in _models(record)}
    found = {warning for name, licence in models if (warning := licence_warning(name, licence))}
    for images in sets:
        if SHORT in images.about:
            missing = "; ".join(images.about[SHORT])
            found.add(f"{task}: fewer images were added than {params.amount} asks for: {missing}")
    return found


def _models(record: Record) -> set[tuple[str, str | None]]:
    return models_of(record.model, record.licence, record.settings)


def unaudited(sets: Sequence[ImageSet]) -> str | None:
    """Why nothing is known about the added scenes, in words, if the audit could judge no box of any set."""
    blind = [images.about[BLIND] for images in sets if BLIND in images.about]
    return (
        f"the audit could judge none of the {blind[0]} boxes of the added scenes" if len(blind) == len(sets) else None
    )


def chosen_on_val(tried: int) -> str:
    """What a choice among so many settings means for the difference on test."""
    return (
        f"{tried} settings were compared on val before this one was chosen; if that was done with these seeds, a part "
        "of the difference may be their luck (`diffaug tune` measures its choice with other seeds)"
    )
