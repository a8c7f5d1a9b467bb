"""`diffaug fetch`: downloads what params.yaml names on hubs and sites, before a run, or to carry it elsewhere.

Sizes and licences are printed first. What is on this disk already is not asked for again.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from diffaug.hub.licence import licence_warning
from diffaug.hub.needs import Need, model_need, release_need, torchvision_need
from diffaug.params import Params
from diffaug.params.base import ModelName, Release
from diffaug.params.filter import TorchvisionNetwork
from diffaug.runtime.work import hold, work_folder

# The other models are single networks.
_PIPELINES = ("generate.model", "train_gen.lora.model", "train_gen.textual_inversion.model")


def fetch(params: Params, dry: bool) -> None:
    """Print what the params need, with sizes and licences, and download what is absent. dry: print only.

    Raises UserError if something is not where the params say, or cannot be downloaded; what was fetched stays.
    """
    work = work_folder("download")
    with hold(work.with_name("download.lock")):  # `dvc repro` may be downloading
        found = []
        for need in _needs(params):
            found.append(need)
            print(f"{need.key}: {need.name}: {_said(need)}", flush=True)
            warning = licence_warning(need.name, need.licence)
            if warning is not None:
                print(f"{need.key}: note: {warning}")
        absent = [need for need in found if need.size != 0]
        if not absent:
            print(f"params.yaml: nothing to fetch: {'all of this' if found else 'what it names'} is on this disk")
            return
        sizes = [need.size for need in absent if need.size]
        stated = [in_bytes(sum(sizes))] if sizes else []
        unknown = [f"{len(absent) - len(sizes)} whose size is not stated"] if len(absent) > len(sizes) else []
        print(f"params.yaml: to fetch: {' and '.join(stated + unknown)}", flush=True)
        for number, need in enumerate(absent if not dry else [], 1):
            print(f"{number} of {len(absent)}: {need.name}", flush=True)
            need.get()
    if not dry:
        print("params.yaml: all that it names is on this disk now")


def _said(need: Need) -> str:
    licence = f"licence: {need.licence or 'not stated'}"
    if need.size == 0:
        return f"is here; {licence}"
    return f"{in_bytes(need.size) if need.size else 'size not stated'}; {licence}"


def in_bytes(size: int) -> str:
    """Such as 2.1 GB, as sites state sizes."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def _needs(params: Params) -> Iterator[Need]:
    """What the stages would download; what two parameters name, once."""
    seen: set[str] = set()
    for need in _all(params):
        if need.name not in seen:
            seen.add(need.name)
            yield need


def _all(params: Params) -> Iterator[Need]:
    from diffaug.sources.needs import set_need

    for task in ("cls", "det"):
        need = set_need(getattr(params.download, task), task, work_folder("download"))
        if need is not None:
            yield need
    for key, value in _named(_used(params), ""):
        if isinstance(value, ModelName):
            need = model_need(value, key, "pipeline" if key in _PIPELINES else "network")
        elif isinstance(value, Release):
            need = release_need(value, key)
        else:
            need = torchvision_need(value.torchvision, value.weights, f"{key}.weights")
        if need is not None:
            yield need
    cls = params.train_cls
    if params.download.cls is not None and cls.weights is not None:
        need = torchvision_need(cls.model, cls.weights, "train_cls.weights")
        if need is not None:
            yield need


def _used(params: Params) -> dict[str, Any]:
    """The sections that name models, without those of methods and tasks that the params switch off."""
    tasks = [task for task in ("cls", "det") if getattr(params.download, task) is not None]
    modes = {f"{task}.modes": getattr(params.generate, task).modes for task in tasks}
    idle = ("cls", "det") if params.generate.segments() else ("cls", "det", "segmenter")
    generate = {name: value for name, value in params.generate if name not in idle} | modes
    found: dict[str, Any] = {f"generate.{name}": value for name, value in generate.items()}
    found |= {f"filter.{task}": getattr(params.filter, task) for task in tasks}
    if params.train_gen.tuned is not None:
        found[f"train_gen.{params.train_gen.method}"] = params.train_gen.tuned
    if "det" in tasks:
        found["train_det"] = params.train_det
    return found


def _named(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every model, release and network of torchvision in a section, with its key."""
    if isinstance(value, ModelName | Release | TorchvisionNetwork):
        yield key, value
        return
    pairs = value.items() if isinstance(value, dict) else value if isinstance(value, BaseModel) else ()
    for name, one in pairs:
        yield from _named(one, f"{key}.{name}" if key else name)
