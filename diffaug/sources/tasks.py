"""From the section `download` to both tasks' real images."""

from pathlib import Path

from diffaug.dataset.records import SPLITS
from diffaug.params.download import (
    Bccd,
    BoxFolder,
    ClsSource,
    Crops,
    DetSource,
    DownloadParams,
    FashionMnist,
    Folder,
    Hub,
    HubBoxes,
    HubLabels,
    OxfordPetBoxes,
    Scenes,
    Torchvision,
)
from diffaug.sources import bccd, pets
from diffaug.sources.box_folder import box_folder
from diffaug.sources.class_folders import class_folders
from diffaug.sources.crops import crops
from diffaug.sources.fashion_mnist import fashion_mnist
from diffaug.sources.hub import hub_boxes, hub_labels
from diffaug.sources.labelled import to_real_data
from diffaug.sources.real import RealData
from diffaug.sources.scenes import scenes
from diffaug.sources.torchvision_sets import torchvision_set

NOTHING = RealData((), dict.fromkeys(SPLITS, ()))


def read_both(params: DownloadParams, work: Path) -> tuple[RealData, RealData]:
    """The images for classification and for detection; a task whose source is null has none. Raises UserError."""
    if isinstance(params.cls, Crops):
        det = read_det(params, NOTHING, work)
        return read_cls(params, det, work), det
    cls = read_cls(params, NOTHING, work)
    return cls, read_det(params, cls, work)


def is_local(source: ClsSource | DetSource | None) -> bool:
    """Whether the source is a folder of the disk, which can be looked at without a download."""
    return isinstance(source, Folder) or (isinstance(source, Hub) and not source.on_hub)


def read_cls(params: DownloadParams, det: RealData, work: Path) -> RealData:
    """The classification images; `det` is read for crops alone."""
    seed, strict = params.seed, params.strict
    match params.cls:
        case FashionMnist() as source:
            return fashion_mnist(source, seed, work)
        case Torchvision() as source:
            return torchvision_set(source, seed, work)
        case Crops() as source:
            return crops(source, det, seed)
        case Folder() as source:
            return to_real_data(class_folders(source), source, seed, strict)
        case HubLabels() as source:
            return to_real_data(hub_labels(source, work), source, seed, strict)
        case None:
            return NOTHING


def read_det(params: DownloadParams, cls: RealData, work: Path) -> RealData:
    """The detection images; `cls` is read for scenes alone."""
    seed, strict = params.seed, params.strict
    match params.det:
        case Scenes() as source:
            return scenes(source, cls, seed)
        case BoxFolder() as source:
            return to_real_data(box_folder(source), source, seed, strict)
        case Bccd():
            return to_real_data(bccd.bccd(work), None, seed, strict, bccd.known)
        case OxfordPetBoxes() as source:
            return to_real_data(pets.oxford_pets(work), source, seed, strict, pets.known)
        case HubBoxes() as source:
            return to_real_data(hub_boxes(source, work), source, seed, strict)
        case None:
            return NOTHING
