"""The user's own folder for detection: finds its format by looking at the files, and reads it."""

from dataclasses import replace
from pathlib import Path

from diffaug.params.download import BoxFolder
from diffaug.runtime.errors import UserError
from diffaug.sources.coco import read_coco
from diffaug.sources.coco_files import coco_files
from diffaug.sources.contents import Contents, contents
from diffaug.sources.faults import NoBoxesError
from diffaug.sources.image_files import existing, other_pictures, say_unread
from diffaug.sources.labelled import Labelled
from diffaug.sources.voc import is_voc, read_voc
from diffaug.sources.yolo import is_yolo, read_yolo
from diffaug.sources.yolo_config import find_config

_NEEDS = {
    "yolo": "a data.yaml, or text files of 'class x y width height' with the names of images",
    "coco": "a .json with images, annotations and categories",
    "voc": "XML files with <annotation>",
}
_READ = {"yolo": (".txt", ".yaml", ".yml", ".names", ".labels"), "coco": (), "voc": (".xml", ".txt")}


def box_folder(params: BoxFolder) -> Labelled:
    """The folder (or its data.yaml or json). Raises NoBoxesError if no format is found, UserError if more
    than one is."""
    root = existing(params.path, "download.det.path")
    found = contents(root, params.images, params.labels)
    config, jsons = find_config(root, found), coco_files(found.of(".json"))
    pages = found.of(".xml")
    there = {"yolo": config is not None or is_yolo(found), "coco": bool(jsons), "voc": any(map(is_voc, pages))}
    formats = [name for name, is_there in there.items() if is_there]
    if params.format is None and len(formats) > 1:
        raise UserError(
            f"{root}: has files of several formats ({', '.join(formats)}); choose one with download.det.format"
        )
    chosen = params.format or (formats[0] if formats else None)
    if chosen is None or not there[chosen]:
        raise _not_found(root, found, chosen)
    if params.classes is not None and chosen != "voc":
        raise UserError(f"download.det.classes: is only for format voc, but {root} is {chosen}; remove it")
    try:
        if chosen == "yolo":
            labelled = read_yolo(found, config)
        else:
            labelled = read_coco(found, jsons) if chosen == "coco" else read_voc(found, params.classes)
    except UserError as error:
        if not found.faults:
            raise
        raise UserError(f"{error}; {len(found.faults)} links lead nowhere: {found.faults[0].text}") from None
    read = set(jsons) if chosen == "coco" else set()
    say_unread([path for path in found.others if path.suffix.lower() not in _READ[chosen] and path not in read], root)
    lost = {fault.stem for fault in found.faults}  # what names these images is the same fault again
    others = [fault for fault in labelled.faults if fault.stem is None or fault.stem not in lost]
    return replace(labelled, faults=(*found.faults, *other_pictures(found.files), *others))


def _not_found(root: Path, found: Contents, chosen: str | None) -> UserError:
    stems = {image.stem for image in found.images}
    texts = [path for path in found.of(".txt") if path.stem in stems]
    if texts and chosen in (None, "yolo"):
        return UserError(
            f"{texts[0]}: has the name of an image, but no line of 'class x y width height', as none of the text files "
            "with names of images has; correct them, or give the folder of the labels"
        )
    needed = {chosen: _NEEDS[chosen]} if chosen else _NEEDS
    formats = "; or ".join(f"{name}: {text}" for name, text in needed.items())
    return NoBoxesError(f"{root}: no boxes of a known format found, which needs {formats}; found {found.seen}")
