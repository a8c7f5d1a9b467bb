"""From the section `download` to the real images of both tasks; a source is the module of its name in this folder."""

from collections.abc import Collection
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from diffaug.dataset.records import SPLITS
from diffaug.hub.seen import read_seen
from diffaug.params.download import Crops, DownloadParams, Folder, Hub
from diffaug.sources.placing import place_together
from diffaug.sources.real import Inputs, RealData

NOTHING = RealData((), dict.fromkeys(SPLITS, ()))
TASKS = ("cls", "det")


def read_both(params: DownloadParams, work: Path, tasks: Collection[str] = TASKS) -> tuple[RealData, RealData]:
    """The images for classification and for detection. A task with source null, or not in `tasks`, has none.

    What both tasks read from the user's own files gets its splits in one draw. Raises UserError.
    """
    sources = {task: source for task in TASKS if task in tasks and (source := getattr(params, task)) is not None}
    own = {task: source for task, source in sources.items() if isinstance(source, (Folder, Hub))}
    inputs = Inputs(params.seed, params.strict, work, NOTHING, read_seen(params.unseen_by))
    readers = [(_module(source, f"find_{task}")(source, inputs), source) for task, source in own.items()]
    found = dict(zip(own, place_together(readers, params.seed, params.strict)))
    # Crops are cut out of the images of det, scenes are composed of those of cls.
    for task in reversed(TASKS) if isinstance(params.cls, Crops) else TASKS:
        other = found.get("det" if task == "cls" else "cls", NOTHING)
        if task in sources and task not in found:
            source = sources[task]
            found[task] = _module(source, f"read_{task}")(source, replace(inputs, other=other))
    return found.get("cls", NOTHING), found.get("det", NOTHING)


def _module(source: Any, function: str) -> Any:
    return getattr(import_module(f"diffaug.sources.{source.source}"), function)
