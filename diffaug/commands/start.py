"""`diffaug start`: from a folder of photographs to a preset that suits them, with a reason for every setting."""

import contextlib
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from diffaug.commands.advice import Choice, Machine, advise
from diffaug.commands.estimate import LEAST, Images, affordable, estimate, speed
from diffaug.commands.facts import facts
from diffaug.commands.nearness import nearness_remark
from diffaug.commands.own_study import study_choices
from diffaug.commands.planned import plan_on
from diffaug.commands.use import params_with
from diffaug.params import Params
from diffaug.params.download import DownloadParams
from diffaug.runtime import cores
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.work import work_folder
from diffaug.sources.faults import FaultsError, NoBoxesError

if TYPE_CHECKING:
    from diffaug.sources.real import RealData

_TOO_FEW = (
    f"The preset has {100 * LEAST:g} % of the usual steps, with which hardly anything is learned: its run shows that "
    "everything works, not whether the images help"
)
_FRACTIONS = {"val_fraction": 0.2, "test_fraction": 0.3}
_WIDTH = 110  # characters of a line of the preset


def start(photos: Path, boxes: Path | None, out: Path, gpu: bool, minutes: float | None = None) -> str:
    """Look at the images and the machine, write the preset `out`, and return what to do next.

    photos: class folders, or images with boxes; boxes: where the boxes are, if elsewhere; gpu: choose as for a GPU that
    this machine does not have; minutes: train fewer steps on a CPU, so that the run takes about this time. Raises
    UserError if neither classes nor boxes are found, or if `boxes` are given and cannot be read.
    """
    if out.is_dir():
        raise UserError(f"{out}: a folder; name a file with --out, such as {out / 'own.yaml'}")
    if out.suffix not in (".yaml", ".yml"):
        raise UserError(f"{out}: a preset's name ends in .yaml; name such a file with --out")
    if out.exists():
        raise UserError(f"{out}: exists already; remove it, or name another file with --out")
    found = _look(photos, boxes)
    looked = {task: facts(task, found.sources[task], images) for task, images in found.data.items()}
    for task, one in looked.items():
        print(f"start: {task}: {one.describe()}")
        if warning := nearness_remark(task, one.apart):
            print(f"start: {task}: note: {warning}")
    machine = _machine(gpu)
    if machine.gpu and minutes is not None:
        raise UserError("--minutes: the time on a GPU is unknown; leave it out, and edit the steps in the preset")
    draft = work_folder("start") / out.name  # `out` is written when all has been checked

    def choose(machine: Machine) -> tuple[list[Choice], Params, Images]:
        choices = advise(looked.get("cls"), looked.get("det"), found.faults, machine)
        choices += study_choices(choices)
        _write(draft, choices, [])
        return choices, *_planned(draft, found.data)

    choices, params, images = choose(machine)
    _print_remarks(found.data, params)
    if gpu:
        expected = "the time on a GPU is unknown"
    else:
        here = speed()
        if minutes is not None:
            share = affordable(params, images, here, minutes)
            if share == LEAST:
                print(f"start: note: {minutes:g} minutes are too few. {_TOO_FEW}")
            choices, params, images = choose(Machine(None, share))
        expected = f"expected: {estimate(params, images, here)}"
    _write(out, choices, [f"Written by `diffaug start {photos}{f' {boxes}' if boxes else ''}`.", expected])
    return (
        f"{out}: {expected}\nRead it: each setting has its reason. Then run it apart from params.yaml with `diffaug "
        f"preset {out}`, or put it into params.yaml with `diffaug use {out}` and run `dvc repro`"
    )


@dataclass(frozen=True)
class Found:
    """The images by task, the sections of `download` that read them, and why faults are dropped (empty: none are)."""

    data: Mapping[str, "RealData"]
    sources: Mapping[str, Mapping[str, Any]]
    faults: str = ""


def _look(photos: Path, boxes: Path | None) -> Found:
    """Raises UserError if neither classes nor boxes are found, or boxes are given and cannot be read."""
    if not photos.exists():
        raise UserError(f"{photos}: does not exist; name the folder of your images")
    sources: dict[str, Mapping[str, Any]] = {}
    found: dict[str, RealData] = {}
    reasons: dict[str, list[UserError]] = {"cls": [], "det": []}  # why no way of reading worked
    faults = ""
    for task, candidates in _candidates(photos, boxes):
        if task == "cls" and "det" in sources and boxes is None:
            continue  # its folders of images and labels are no classes
        for candidate in candidates:
            try:
                data, fault = _try(task, candidate)
            except UserError as error:
                reasons[task].append(error)
            else:
                sources[task], found[task], faults = candidate, data, fault or faults
                reasons[task].clear()
                break
    if boxes is not None and "det" not in sources:
        because = _because(reasons["det"])
        raise UserError(f"{because}; so there are no boxes for {photos}: correct {boxes}, or leave it out")
    if not sources:
        raise _neither(reasons)
    for task, errors in reasons.items():
        if errors and not _no_boxes(errors):  # folders of classes need none
            print(f"start: note: {task} is left out: {_because(errors)}")
    if len(sources) > 1:  # their splits are drawn together
        found = _read(_download(sources, strict=not faults))
    return Found(found, sources, faults)


def _no_boxes(errors: Sequence[UserError]) -> bool:
    return all(isinstance(error, NoBoxesError) for error in errors)


def _because(errors: Sequence[UserError]) -> str:
    """What is wrong with boxes that are there, if any are."""
    told = [error for error in errors if not isinstance(error, NoBoxesError)] or errors[:1]
    return "; ".join(dict.fromkeys(map(str, told)))


def _neither(reasons: Mapping[str, Sequence[UserError]]) -> UserError:
    """What is wrong with the way that was probably meant."""
    if not _no_boxes(reasons["det"]):
        return UserError(_because(reasons["det"]))
    return UserError(f"{reasons['cls'][0]}; nor are there boxes in YOLO, COCO or Pascal VOC format")


def _candidates(photos: Path, boxes: Path | None) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """By task, the sections of `download` to try, the likeliest first."""

    def section(path: Path, **more: str) -> Mapping[str, Any]:
        return {"source": "folder", "path": path.absolute().as_posix(), **more, **_FRACTIONS}

    if boxes is None:
        return [("det", [section(photos)]), ("cls", [section(photos)])]
    apart = section(photos, labels=boxes.absolute().as_posix())
    return [("det", [apart, section(boxes)]), ("cls", [section(photos)])]


def _try(task: str, source: Mapping[str, Any]) -> tuple["RealData", str]:
    """The images, and the fault that stops a strict run (empty if there is none). Raises UserError if they cannot be
    read at all."""
    said = io.StringIO()  # told once, by the attempt that succeeds
    try:
        with contextlib.redirect_stdout(said):
            found = _read(_download({task: source}, strict=True))[task]
    except UserError as error:
        fault = error.found if isinstance(error, FaultsError) else str(error)
        return _read(_download({task: source}, strict=False))[task], fault
    print(said.getvalue(), end="")
    return found, ""


def _read(download: DownloadParams) -> dict[str, "RealData"]:
    from diffaug.sources.real import check_classes
    from diffaug.sources.tasks import read_both

    cls, det = read_both(download, work_folder("download"))
    found = {"cls": cls} if download.cls else {}
    found |= {"det": det} if download.det else {}
    for task, data in found.items():
        check_classes(data, f"download.{task}")
    return found


def _download(sources: Mapping[str, Mapping[str, Any]], strict: bool) -> DownloadParams:
    return DownloadParams.model_validate(
        {"seed": 0, "strict": strict, "cls": sources.get("cls"), "det": sources.get("det")}
    )


def _print_remarks(data: Mapping[str, "RealData"], params: Params) -> None:
    from diffaug.sources.real import remarks

    for task, images in data.items():
        side = (params.train_cls if task == "cls" else params.train_det).image_size
        for remark in remarks(images, side, f"train_{task}.image_size"):
            print(f"start: {task}: note: {remark}")


def _machine(gpu: bool) -> Machine:
    here = cores.gpus()
    return Machine(here[0] if here else "a card of 12 GB" if gpu else None)


def _planned(preset: Path, data: Mapping[str, "RealData"]) -> tuple[Params, Images]:
    """The params with the preset, and what they plan on these images."""
    params = params_with(preset)
    return params, plan_on(params, data)


def _write(path: Path, choices: Sequence[Choice], head: Sequence[str]) -> None:
    lines = [f"# {line}" for text in head for line in textwrap.wrap(text, _WIDTH)]
    open_sections: list[str] = []
    for choice in choices:
        *sections, key = choice.key.split(".")
        common = 0
        while common < min(len(sections), len(open_sections)) and sections[common] == open_sections[common]:
            common += 1
        if common == 0:
            lines.append("")
        lines += [f"{'  ' * depth}{name}:" for depth, name in enumerate(sections) if depth >= common]
        open_sections = sections
        indent = "  " * len(sections)
        lines += [f"{indent}# {line}" for line in textwrap.wrap(choice.reason, _WIDTH - len(indent))]
        lines.append(f"{indent}{key}: {_flow(choice.value)}")
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")
