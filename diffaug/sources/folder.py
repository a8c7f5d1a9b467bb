"""The user's own images: one folder per class, or boxes in YOLO, COCO or Pascal VOC format."""

from diffaug.params.download import BoxFolder, Folder
from diffaug.sources.box_folder import box_folder
from diffaug.sources.class_folders import class_folders
from diffaug.sources.labelled import to_real_data
from diffaug.sources.real import Inputs, RealData


def read_cls(source: Folder, inputs: Inputs) -> RealData:
    """The images of class folders. Raises UserError naming the file or folder."""
    return to_real_data(class_folders(source), source, inputs.seed, inputs.strict)


def read_det(source: BoxFolder, inputs: Inputs) -> RealData:
    """The images with their boxes. Raises UserError naming the file, the line and what was found."""
    return to_real_data(box_folder(source), source, inputs.seed, inputs.strict)
