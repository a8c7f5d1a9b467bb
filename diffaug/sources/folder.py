"""The user's own images: one folder per class, or boxes in YOLO, COCO or Pascal VOC format."""

from diffaug.params.download import BoxFolder, Folder
from diffaug.sources.box_folder import box_folder
from diffaug.sources.class_folders import class_folders
from diffaug.sources.groups import grouped
from diffaug.sources.labelled import Labelled
from diffaug.sources.limits import limited
from diffaug.sources.real import Inputs


def find_cls(source: Folder, inputs: Inputs) -> Labelled:
    """The images of class folders. Raises UserError naming the file or folder."""
    found = limited(class_folders(source), source.limit_per_class, inputs.seed)
    return grouped(found, source.group, "download.cls.group")


def find_det(source: BoxFolder, inputs: Inputs) -> Labelled:
    """The images with their boxes. Raises UserError naming the file, the line and what was found."""
    found = limited(box_folder(source), source.limit_per_class, inputs.seed)
    return grouped(found, source.group, "download.det.group")
