"""`diffaug export`: a set, or all splits of a task, a trained model, a generator or a LoRA, as files that other tools
read."""

from importlib.util import find_spec
from pathlib import Path

from diffaug.dataset.records import SPLITS, ImageSet, Record, read_set
from diffaug.export.coco import write_coco
from diffaug.export.folders import plain, write_image_folder
from diffaug.export.yolo import write_data_yaml, write_yolo
from diffaug.hub.configs import read_mapping
from diffaug.merging.painting import paint_over
from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import LEDGER, read_ledger

MODEL = "model.json"
_MODELS = {"model": MODEL, "generator": "model_index.json", "lora": "base.json"}  # the file that tells what it is
KEPT = "kept"
KOHYA = "kohya"


def export(source: Path, target: Path, format: str | None = None) -> None:
    """Write a set or several to a new folder, the model of a folder with a model.json to a new file, a generator to a
    new folder, or a LoRA, with the format kohya, to a new file.

    Raises UserError as `export_set`, `export_model`, `export_lora` and `export_generator`, or if the format is not for
    the source.
    """
    kind = next((kind for kind, file in _MODELS.items() if (source / file).is_file()), None)
    if format == KOHYA:
        if kind != "lora":
            raise UserError(f"{source}: --format {KOHYA} is for a LoRA that train_gen made, and this folder has none")
        export_lora(source, target)
    elif kind is None:
        export_set(source, target, format)
    elif format is not None:
        also = f", or give {KOHYA}" if kind == "lora" else ""
        raise UserError(f"{source}: is a model, so --format {format} has no meaning; leave it out{also}")
    elif kind == "model":
        export_model(source, target)
    else:
        export_generator(source, target)


def export_generator(source: Path, folder: Path) -> None:
    """Write a generator that train_gen made from random weights as a folder to publish, in half precision and with a
    card.

    Raises UserError if the folder is not empty, or the generator is a LoRA.
    """
    from diffaug.export.generator import write_generator
    from diffaug.params.base import SEEN

    if not (source / SEEN).is_file():
        raise UserError(
            f"{source}: has no {SEEN}, so it is no generator that train_gen made from random weights; publish the "
            f"folder as it is, or write a LoRA with --format {KOHYA}"
        )
    _refuse_full(folder)
    write_generator(source, folder)
    print(f"{folder}: the generator of {source}; complete its README.md before you publish it")


def export_lora(source: Path, file: Path) -> None:
    """Write a LoRA that train_gen made as a file of kohya's trainer.

    Raises UserError if the file exists or has another ending, or as `write_kohya`.
    """
    from diffaug.generator_training.kohya import write_kohya

    if file.suffix != ".safetensors":
        raise UserError(f"{file}: must end with .safetensors")
    _refuse_existing(file)
    write_kohya(source, file)
    print(f"{file}: the LoRA of {source}; put it in WebUI's folder models/Lora")


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise UserError(f"{file}: exists already; give a new file, so that nothing is overwritten")


def _refuse_full(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; give a new folder, so that nothing is mixed or overwritten")


def export_model(source: Path, target: Path) -> None:
    """Write a detector as .pt (a checkpoint of Ultralytics), or either kind of model as .onnx.

    Raises UserError if the file exists, its ending is another, the folder has no model, or a package is missing.
    """
    is_detector = "architecture" in read_mapping(source / MODEL)
    endings = (".pt", ".onnx") if is_detector else (".onnx",)
    if target.suffix not in endings:
        what = "detector" if is_detector else "classifier"
        also = "" if is_detector else f"; {source / 'model.safetensors'} opens in torchvision as it is"
        raise UserError(f"{target}: a {what} is written as {' or '.join(endings)}{also} (see docs/use-the-models.md)")
    _refuse_existing(target)
    if target.suffix == ".onnx":
        _need("onnx", *(() if is_detector else ("onnxscript",)))
    if not is_detector:
        from diffaug.classifier.exporting import write_classifier_onnx

        write_classifier_onnx(source, target)
    else:
        from diffaug.detector.exporting import write_checkpoint, write_detector_onnx

        (write_checkpoint if target.suffix == ".pt" else write_detector_onnx)(source, target)
    print(f"{target}: the model of {source}; docs/use-the-models.md shows how to use it")


def _need(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX: the package {' and '.join(missing)} is not installed; run `pip install {' '.join(missing)}` (the "
            "extra onnx of diffaug)"
        )


def export_set(source: Path, folder: Path, format: str | None = None) -> None:
    """Write the set `source`, or the sets train, val and test in it, to a new folder; for data/filtered/TASK the
    generated images, kept ones and rejected ones separately, by reason.

    format: image_folder (a set's CLASS/*, several sets' SPLIT/CLASS/*), yolo or coco; None: by the set's content.
    Raises UserError if the folder is not empty, or the format does not fit the set.
    """
    _refuse_full(folder)
    sets = _sets(source)
    labelled = any(record.label is not None for images in sets.values() for record in images)
    allowed = ("image_folder",) if labelled else ("yolo", "coco")
    format = format or allowed[0]
    if format not in allowed:
        what = "class labels" if labelled else "boxes"
        raise UserError(f"{source}: has {what}, which --format {format} cannot store; use {' or '.join(allowed)}")
    folder.mkdir(parents=True, exist_ok=True)
    for split, images in sets.items():
        if format == "image_folder":
            write_image_folder(images, folder / split if len(sets) > 1 else folder)
        elif format == "coco":
            write_coco(images, folder, split)
        else:
            write_yolo(images, folder, split)
    if format == "yolo":
        _data_yaml(folder, sets)
    counts = ", ".join(f"{len(images)} {split}" for split, images in sets.items())
    print(f"{folder}: {counts} images")


def _sets(source: Path) -> dict[str, ImageSet]:
    """By split, the sets in the folder, or the folder itself if it is a set; by reason, for the filter's output."""
    if (source / LEDGER).is_file():
        return _judged(source)
    inside = {split: read_set(source / split) for split in SPLITS if (source / split).is_dir()}
    if inside:
        return inside
    images = read_set(source)
    return {images.records[0].split if len(images) else "train": images}


def _judged(source: Path) -> dict[str, ImageSet]:
    images = source.resolve().parents[1] / "generated" / source.name
    generated = read_set(images)
    ledger = {entry.id: entry for entry in read_ledger(source, generated)}
    reasons = {id: plain(entry.reason or KEPT) for id, entry in ledger.items()}
    found: dict[str, list[Record]] = {reason: [] for reason in [KEPT, *sorted(set(reasons.values()))]}
    for record in generated:
        found[reasons[record.id]].append(paint_over(record, ledger[record.id].ignored))
    return {reason: ImageSet(generated.names, tuple(records)) for reason, records in found.items()}


def _data_yaml(folder: Path, sets: dict[str, ImageSet]) -> None:
    splits = {split: split for split in sets if split in SPLITS} or {"train": next(iter(sets))}
    path = write_data_yaml(folder, next(iter(sets.values())).names, splits)
    missing = [split for split in ("train", "val") if split not in splits]
    if missing:
        print(
            f"{path}: has no {' and no '.join(missing)}, without which Ultralytics does not open it; export all splits "
            "together, such as data/real/det, or add the line yourself"
        )
