"""`diffaug export`: a set, or all splits of a task, as plain files that other tools read."""

from pathlib import Path

from diffaug.dataset.records import SPLITS, ImageSet, Record, read_set
from diffaug.export.coco import write_coco
from diffaug.export.folders import plain, write_image_folder
from diffaug.export.yolo import write_data_yaml, write_yolo
from diffaug.merging.painting import paint_over
from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import LEDGER, read_ledger

KEPT = "kept"


def export_set(source: Path, folder: Path, format: str | None = None) -> None:
    """Write the set `source`, or the sets train, val and test in it, to a new folder; for data/filtered/TASK the
    generated images, kept ones and rejected ones separately, by reason.

    format: image_folder (a set's CLASS/*, several sets' SPLIT/CLASS/*), yolo or coco; None: by the set's content.
    Raises UserError if the folder is not empty, or the format does not fit the set.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; give a new folder, so that nothing is mixed or overwritten")
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
    splits = {split: split for split in sets if split in SPLITS}
    # Ultralytics opens no folder without train and val; it also refuses a split without images.
    first = next(iter(sets))
    names = next(iter(sets.values())).names
    write_data_yaml(folder, names, {"train": first, "val": first} | splits)
