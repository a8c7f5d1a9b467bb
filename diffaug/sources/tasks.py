"""From the section `download` to the real images of both tasks; a source is the module of its name in this folder."""

from importlib import import_module
from pathlib import Path
from typing import Any

from diffaug.dataset.records import SPLITS
from diffaug.params.download import Crops, DownloadParams
from diffaug.sources.real import Inputs, RealData

NOTHING = RealData((), dict.fromkeys(SPLITS, ()))


def read_both(params: DownloadParams, work: Path) -> tuple[RealData, RealData]:
    """The images for classification and for detection; a task with source null has none. Raises UserError."""
    if isinstance(params.cls, Crops):
        det = read_task("det", params, NOTHING, work)
        return read_task("cls", params, det, work), det
    cls = read_task("cls", params, NOTHING, work)
    return cls, read_task("det", params, cls, work)


def read_task(task: str, params: DownloadParams, other: RealData, work: Path) -> RealData:
    """The images of one task ("cls" or "det"), by `read_cls` or `read_det` of the source's module.

    other: the images of the other task, from which crops and scenes are made.
    """
    source: Any = getattr(params, task)
    if source is None:
        return NOTHING
    module = import_module(f"diffaug.sources.{source.source}")
    return getattr(module, f"read_{task}")(source, Inputs(params.seed, params.strict, work, other))
