"""`diffaug check`: checks params.yaml, and the files and folders that it names, before any work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffaug.classifier import network as classifier
from diffaug.detector import network as detector
from diffaug.generation.plan import prompts
from diffaug.params import Params
from diffaug.params.base import GENERATOR, is_local
from diffaug.params.download import Crops, Hub
from diffaug.params.filter import TorchvisionNetwork
from diffaug.runtime.errors import UserError
from diffaug.runtime.work import work_folder
from diffaug.scoring.networks import check_torchvision
from diffaug.sources.real import check_classes, check_disjoint, describe, remarks
from diffaug.sources.tasks import NOTHING, read_task


def check(params: Params) -> None:
    """Build the networks that the params name, read the folders as `download` would, and print what was found."""
    _check_files(params)
    if params.download.cls is not None:
        named = not (params.train_cls.weights or "").endswith(".safetensors")  # torchvision's own are downloaded
        classifier.build(params.train_cls.model_copy(update={"weights": None}) if named else params.train_cls, 2)
    if params.download.det is not None:
        detector.build(params.train_det, ("one", "two"))
    _check_networks(params)
    _check_images(params)
    print("params.yaml: fine")


def _check_networks(params: Params) -> None:
    """Raises UserError if the filter names a network that torchvision does not have."""
    for task in ("cls", "det"):
        checks = getattr(params.filter, task)
        for name, section in (("embedding", checks.embedding), ("quality", checks.quality)):
            named = section is not None and isinstance(section.network, TorchvisionNetwork)
            if named and getattr(params.download, task) is not None:
                check_torchvision(section.network, f"filter.{task}.{name}.network")


def _check_images(params: Params) -> None:
    """Read what is on the disk, as `download` would. Raises UserError."""
    download = params.download
    cls_on_disk = download.det if isinstance(download.cls, Crops) else download.cls  # crops are cut out of det
    there = {"cls": _on_disk(cls_on_disk), "det": _on_disk(download.det)}
    work = work_folder("download") if any(there.values()) else Path()
    det = read_task("det", download, NOTHING, work) if there["det"] else NOTHING
    cls = read_task("cls", download, det, work) if there["cls"] else NOTHING
    splits = []
    for task, source, data in (("cls", download.cls, cls), ("det", download.det, det)):
        if not there[task]:
            continue
        check_classes(data, f"download.{task}")
        splits += list(data.splits.items())
        print(f"{_place(source)}: fine: {describe(data)}")
        side = (params.train_cls if task == "cls" else params.train_det).image_size
        for remark in remarks(data, side, f"train_{task}.image_size"):
            print(f"{_place(source)}: note: {remark}")
    check_disjoint(splits)
    _check_prompts(params, cls.names, det.names)


def _check_prompts(params: Params, cls: Sequence[str], det: Sequence[str]) -> None:
    """Raises UserError for a field or a class in the prompts of `generate` that does not exist."""
    if cls or det:
        prompts.check_classes(params.generate, sorted({*cls, *det}))
    for names, modes in ((cls, params.generate.cls.modes.given()), (det, params.generate.det.modes.redrawn())):
        for mode in modes.values():
            prompts.class_variants(params.generate, mode, names or ["object"])


def _on_disk(source: Any) -> bool:
    return getattr(source, "on_disk", False)


def _place(source: Any) -> str:
    if isinstance(source, Crops):
        return "crops of det"
    return source.name if isinstance(source, Hub) else source.path


def _check_files(params: Params) -> None:
    """Raises UserError if a model, weights or prompts that the params name by a local path do not exist."""
    generate, controlnet = params.generate, params.generate.cls.modes.controlnet
    models = {
        "generate.model": generate.model,
        "generate.tiny_vae": generate.tiny_vae,
        "generate.cls.modes.controlnet.model": controlnet.model if controlnet else None,
        "generate.cls.modes.controlnet.condition_model": controlnet.condition_model if controlnet else None,
        "train_gen.lora.model": params.train_gen.lora.model if params.train_gen.method == "lora" else None,
    }
    paths = [(key, model.name) for key, model in models.items() if model is not None and not model.on_hub]
    paths += [("generate.loras", adapter.path) for adapter in generate.loras]
    paths += [("generate.embeddings", embedding.path) for embedding in generate.embeddings]
    paths += [("generate.prompts_file", generate.prompts_file)] if generate.prompts_file else []
    paths += _local_names(params.filter.model_dump(), "filter")
    for key, path in paths:
        if path != GENERATOR and not Path(path).expanduser().exists():
            raise UserError(f"params.yaml: {key}: {path} does not exist; name an existing file or folder")
    if generate.model.is_file and generate.model.config is None:
        raise UserError("params.yaml: generate.model: a single file needs config; see the comments in params.yaml")


def _local_names(values: Any, key: str) -> list[tuple[str, str]]:
    """Every local path in a section, with its key."""
    if isinstance(values, dict):
        return [found for name, value in values.items() for found in _local_names(value, f"{key}.{name}")]
    local = isinstance(values, str) and (is_local(values) or values.endswith(".safetensors"))
    return [(key, values)] if local else []
