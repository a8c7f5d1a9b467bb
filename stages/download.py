"""Bring in the real images: reads the source in `download`, writes data/real/{cls,det}/{train,val,test} and data/pool.

Alone: python stages/download.py
"""

from collections.abc import Mapping
from pathlib import Path

from diffaug.params import Params
from diffaug.params.data import FashionMnist, Scenes
from diffaug.records import SPLITS, write_set
from diffaug.sources.fashion_mnist import fashion_mnist
from diffaug.sources.folder import class_folders, yolo_folder
from diffaug.sources.real import RealData, check_classes, check_disjoint
from diffaug.sources.scenes import scenes
from diffaug.stage import run_stage

NOTHING = RealData((), dict.fromkeys(SPLITS, ()))


def download(params: Params, work: Path) -> Mapping[str, float]:
    """Get both tasks' images, check them, write the sets. A task whose source is null gets empty sets."""
    seed = params.download.seed
    match params.download.cls:
        case None:
            cls = NOTHING
        case FashionMnist() as library:
            cls = fashion_mnist(library, seed, work)
        case folder:
            cls = class_folders(folder, seed)
    match params.download.det:
        case None:
            det = NOTHING
        case Scenes() as composed:
            det = scenes(composed, cls, seed)
        case folder:
            det = yolo_folder(folder, seed)
    check_classes(cls, "download.cls")
    check_classes(det, "download.det")
    check_disjoint([*cls.splits.items(), *det.splits.items()])
    for task, data in (("cls", cls), ("det", det)):
        for split in SPLITS:
            write_set(Path("data/real") / task / split, data.names, data.splits[split])
    write_set(Path("data/pool"), cls.names, cls.splits.get("pool", ()))
    return {"images": sum(len(records) for data in (cls, det) for records in data.splits.values())}


if __name__ == "__main__":
    run_stage("download", download)
