"""Get the real images: reads the source in `download`, writes data/real/{cls,det}/{train,val,test} and data/pool.

Alone: python stages/download.py
"""

from collections.abc import Mapping
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.records import SPLITS, write_set
from diffaug.hub.seen import read_seen
from diffaug.params import Params
from diffaug.sources.real import check_classes, check_disjoint, describe
from diffaug.sources.tasks import read_both
from diffaug.stage import run_stage


def download(params: Params, work: Path) -> Mapping[str, float]:
    """Get both tasks' images, check them, write the sets. A task with source null gets empty sets."""
    cls, det = read_both(params.download, work)
    check_classes(cls, "download.cls")
    check_classes(det, "download.det")
    check_disjoint([*cls.splits.items(), *det.splits.items()], read_seen(params.download.unseen_by))
    for task, data in (("cls", cls), ("det", det)):
        for split in SPLITS:
            write_set(Path("data/real") / task / split, data.names, data.splits[split])
        if data.names:
            print(f"download: {task}: {describe(data)}")
    write_set(Path("data/pool"), cls.names, cls.splits.get("pool", ()))
    dropped = cls.dropped + det.dropped
    return {
        "images": sum(len(records) for data in (cls, det) for records in data.splits.values()),
        "dropped_rows": dropped.rows,
        "dropped_images": dropped.images,
        "kept_out_rows": dropped.kept_out,
    }


if __name__ == "__main__":
    run_stage("download", download)
