"""The user's own folder for detection: detects its format and reads it."""

from pathlib import Path

from diffaug.params.download import BoxFolder
from diffaug.runtime.errors import UserError
from diffaug.sources.coco import coco_files, read_coco
from diffaug.sources.image_files import existing
from diffaug.sources.labelled import Labelled
from diffaug.sources.voc import read_voc, voc_layout
from diffaug.sources.yolo import read_yolo

_LOOKS = {
    "yolo": "a data.yaml",
    "coco": "annotations/instances_train*.json, train/_annotations.coco.json or one COCO json",
    "voc": "Annotations/*.xml, train/*.xml or *.xml next to the images",
}


def box_folder(params: BoxFolder) -> Labelled:
    """The folder (or its data.yaml or json). Raises UserError if no format, or more than one, is found."""
    root = existing(Path(params.path), "download.det.path")
    found = {"yolo": _config(root).is_file(), "coco": bool(coco_files(root)), "voc": root.is_dir() and voc_layout(root)}
    formats = [name for name, there in found.items() if there]
    if params.format is None and len(formats) > 1:
        raise UserError(
            f"{root}: has files of several formats ({', '.join(formats)}); choose one with download.det.format"
        )
    chosen = params.format or (formats[0] if formats else None)
    if chosen is None or not found[chosen]:
        looked = {chosen: _LOOKS[chosen]} if chosen else _LOOKS
        allowed = "; ".join(f"{name}: {text}" for name, text in looked.items())
        raise UserError(f"{root}: no known detection format found; expected one of these files: {allowed}")
    if params.classes is not None and chosen != "voc":
        raise UserError(f"download.det.classes: is only for format voc, but {root} is {chosen}; remove it")
    if chosen == "yolo":
        return read_yolo(_config(root))
    return read_coco(root, coco_files(root)) if chosen == "coco" else read_voc(root, params.classes)


def _config(root: Path) -> Path:
    return root if root.is_file() and root.suffix in (".yaml", ".yml") else root / "data.yaml"
