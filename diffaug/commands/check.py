"""`diffaug check`: checks params.yaml, and the files and folders that it names, before any work.

What takes seconds to import is imported only where params.yaml asks for it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffaug.commands.estimate import Images, estimate, speed
from diffaug.commands.use import params_with
from diffaug.detector.architecture import read_architecture
from diffaug.generation.plan import prompts
from diffaug.generation.plan.counts import per_class
from diffaug.hub.learned import LEARNED_FILE
from diffaug.params import Params
from diffaug.params.base import GENERATOR, is_local
from diffaug.params.download import Crops, FashionMnist, FewShot, Hub, Scenes
from diffaug.params.filter import TorchvisionNetwork
from diffaug.params.generate import ClsGeneration
from diffaug.runtime.errors import UserError
from diffaug.runtime.hardware import device_lines
from diffaug.runtime.work import work_folder
from diffaug.segmenting.kinds import KEY, kind_of

if TYPE_CHECKING:
    from diffaug.sources.real import RealData

_RESNETS = {
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"),
}
_USUAL_SIDE, _FASHION_SIDE = 512, 28  # pixels of images that are not on this disk
_FASHION_CLASSES = 10


def check_preset(preset: Path) -> None:
    """`check` of params.yaml with the preset. Raises UserError."""
    name = f"params.yaml with {preset}"
    try:
        check(params_with(preset), name)
    except UserError as error:
        raise UserError(re.sub(r"^params\.yaml:", f"{name}:", str(error))) from None


def check(params: Params, name: str = "params.yaml") -> None:
    """Check the networks that the params name, read the folders as `download` would, plan the synthetic images, and
    print the device, what was found and what the run will need. name: of the params. Raises UserError."""
    print("\n".join(device_lines()))
    _check_files(params)
    _check_networks(params)
    data = _read_images(params)
    _check_captions(params, data)
    _check_prompts(params, {task: found.names for task, found in data.items()})
    for line in _memory_lines(params):
        print(line)
    print(f"estimate, if all stages run: {estimate(params, _count(params, data), speed())}")
    print(f"{name}: fine")


def _memory_lines(params: Params) -> list[str]:
    """What a pre-trained generator needs; none of one that was made here, which is small."""
    name, tasks = params.generate.model.name, (params.download.cls is not None, params.download.det is not None)
    small = (Path(name).expanduser() / LEARNED_FILE).exists() and name != GENERATOR
    if small or not params.generate.draws(*tasks):
        return []
    from diffaug.commands.model_memory import memory_lines  # the libraries take seconds to import

    return memory_lines(params)


def _check_networks(params: Params) -> None:
    """Raises UserError if the params name a network that Ultralytics or torchvision does not have, or weights that do
    not fit."""
    cls, det = params.train_cls, params.train_det
    if params.download.det is not None:
        read_architecture(det.model)
        if det.weights is not None or Path(det.model).is_file():  # do the layers of one's own fit each other?
            from diffaug.detector import network as detector

            detector.build(det, ("one", "two"))
    if params.download.cls is not None and (cls.model not in _RESNETS or cls.weights is not None):
        from diffaug.classifier import network as classifier

        named = not (cls.weights or "").endswith(".safetensors")  # torchvision's own are downloaded
        classifier.build(cls.model_copy(update={"weights": None}) if named else cls, 2)
        if named and cls.weights is not None:
            from diffaug.hub.weights import named_weights

            named_weights(cls.model, cls.weights, "train_cls.weights")
    for task in ("cls", "det"):
        checks = getattr(params.filter, task)
        for name, section in (("embedding", checks.embedding), ("quality", checks.quality)):
            named = section is not None and isinstance(section.network, TorchvisionNetwork)
            if named and getattr(params.download, task) is not None:
                from diffaug.scoring.networks import check_torchvision

                check_torchvision(section.network, f"filter.{task}.{name}.network")


def _read_images(params: Params) -> Mapping[str, "RealData"]:
    """By task, what is on the disk, read as `download` would. Raises UserError."""
    from diffaug.hub.seen import read_seen

    download = params.download
    known = read_seen(download.unseen_by)
    cls_on_disk = download.det if isinstance(download.cls, Crops) else download.cls  # crops are cut out of det
    there = {"cls": _on_disk(cls_on_disk), "det": _on_disk(download.det)}
    if not any(there.values()):
        return {}
    from diffaug.sources.real import check_classes, check_disjoint, describe, remarks
    from diffaug.sources.tasks import read_both

    tasks = [task for task, on_disk in there.items() if on_disk]
    cls, det = read_both(download, work_folder("download"), tasks)
    found = {}
    for task, source, data in (("cls", download.cls, cls), ("det", download.det, det)):
        if not there[task]:
            continue
        check_classes(data, f"download.{task}")
        found[task] = data
        print(f"{_place(source)}: fine: {describe(data)}")
        side = (params.train_cls if task == "cls" else params.train_det).image_size
        for remark in remarks(data, side, f"train_{task}.image_size"):
            print(f"{_place(source)}: note: {remark}")
    check_disjoint([split for data in found.values() for split in data.splits.items()], known)
    return found


def _check_captions(params: Params, data: Mapping[str, "RealData"]) -> None:
    """Raises UserError if a picture on the disk that train_gen learns has no caption in the files of the params."""
    gen = params.train_gen
    if gen.method == "none" or gen.captions_key == "train_gen.caption":
        return
    from diffaug.generator_training.captioned import own_files  # the libraries take seconds to import
    from diffaug.generator_training.captions import Captions

    if gen.own is not None:
        print(f"{gen.own}: fine: {len(own_files(gen.own)[0])} pictures with captions")
    elif gen.captions is not None:
        captions = Captions(Path(gen.captions))
        for record in data["cls"].splits["train"] if "cls" in data and gen.images == "real/cls/train" else ():
            captions.of(record.id)


def _check_prompts(params: Params, names: Mapping[str, Sequence[str]]) -> None:
    """Raises UserError for a field or a class in the prompts of `generate` that does not exist."""
    if names:
        prompts.check_classes(params.generate, sorted({name for task in names.values() for name in task}))
    for task, modes in (("cls", params.generate.cls.modes.given()), ("det", params.generate.det.modes.redrawn())):
        for mode in modes.values():
            prompts.class_variants(params.generate, mode, names.get(task) or ["object"])


def _count(params: Params, data: Mapping[str, "RealData"]) -> Images:
    """How many images will be made: by the plan itself, which is also checked, where the real images are on the disk.
    Raises UserError if the generator cannot draw what is asked, or merge.ratio asks for more than will be made."""
    if data:
        from diffaug.commands.planned import plan_on

        planned = plan_on(params, data)
    else:
        planned = Images(0, 0, 0)
    drawn, made, pixels, draws = planned.drawn, planned.made, planned.pixels, len(params.image_draws)
    generate, cls, det = params.generate, params.download.cls, params.download.det
    if isinstance(cls, FewShot) and "cls" not in data:
        count = draws * sum(per_class(generate.cls, _names(generate.cls, cls.train_per_class)).values())
        drawn += count
        made += count
        pixels += count * (_FASHION_SIDE if isinstance(cls, FashionMnist) else _USUAL_SIDE) ** 2
    if isinstance(det, Scenes):
        paste = generate.det.modes.paste
        drawn += draws * paste.items_per_class * _FASHION_CLASSES if paste and paste.objects == "generated" else 0
        scenes = draws * generate.det.made(det.train)
        made += scenes
        pixels += scenes * det.size**2
    return Images(drawn, made, pixels, planned.real)


def _names(generate: ClsGeneration, count: int) -> dict[str, int]:
    """Real train images by class, of a set that is not on the disk, so that its names are unknown."""
    if isinstance(generate.per_class, dict):
        return dict.fromkeys(generate.per_class, count)
    return {f"class {number}": count for number in range(_FASHION_CLASSES)}


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
        "generate.vae": generate.vae,
        "generate.tiny_vae": generate.tiny_vae,
        KEY: generate.segmenter,
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
    if generate.segmenter is not None and not generate.segmenter.on_hub:
        kind_of(Path(generate.segmenter.name).expanduser())
    for key in ("generate.model", "train_gen.lora.model"):
        if (model := models[key]) and model.is_file:
            from diffaug.hub.locate import single_file  # the libraries take seconds to import

            single_file(model, key)


def _local_names(values: Any, key: str) -> list[tuple[str, str]]:
    """Every local path in a section, with its key."""
    if isinstance(values, dict):
        return [found for name, value in values.items() for found in _local_names(value, f"{key}.{name}")]
    local = isinstance(values, str) and (is_local(values) or values.endswith(".safetensors"))
    return [(key, values)] if local else []
