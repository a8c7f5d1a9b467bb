"""The `diffaug` command: what is not a stage."""

import argparse
import sys
from pathlib import Path

from diffaug.errors import UserError
from diffaug.params import Folder, Params, load_params


def main() -> None:
    """Run `diffaug check | verdict | export`; a UserError ends it with one line and exit 1."""
    parser = argparse.ArgumentParser(prog="diffaug", description="Beside the pipeline, which `dvc repro` runs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("check", help="check params.yaml, and the folders it names, before any work")
    commands.add_parser("verdict", help="print the verdict's table again")
    export = commands.add_parser("export", help="write an image set as plain files, to look into it")
    export.add_argument(
        "set", type=Path, help="such as data/real/cls/train, data/generated/det or data/merged/cls/train"
    )
    export.add_argument(
        "folder", type=Path, help="a new or empty folder: an ImageFolder, or a YOLO folder where the set has boxes"
    )
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "check":
                check(load_params())
            case "verdict":
                from diffaug.report.verdict import read_metrics, verdict_table

                print(verdict_table(read_metrics()))
            case "export":
                export_set(arguments.set, arguments.folder)
    except UserError as error:
        sys.exit(f"diffaug: {error}")
    except OSError as error:
        sys.exit(f"diffaug: {error.filename or 'a file'}: {error.strerror or error}")


def check(params: Params) -> None:
    """Build the networks that the params name, read the folders as `download` would, and say what was found."""
    from diffaug import classifier, detector
    from diffaug.sources.folder import class_folders, yolo_folder
    from diffaug.sources.real import check_classes, check_disjoint

    if params.download.cls is not None:
        named = not (params.train_cls.weights or "").endswith(".safetensors")  # torchvision's own are a download
        classifier.build(params.train_cls.model_copy(update={"weights": None}) if named else params.train_cls, 2)
    if params.download.det is not None:
        detector.build(params.train_det, ("one", "two"))
    sources = [("cls", params.download.cls, class_folders), ("det", params.download.det, yolo_folder)]
    splits = []
    for task, source, read in sources:
        if not isinstance(source, Folder):
            continue
        data = read(source, params.download.seed)
        check_classes(data, f"download.{task}")
        splits += list(data.splits.items())
        counts = ", ".join(f"{len(records)} {split}" for split, records in data.splits.items())
        print(f"{source.path}: fine: {len(data.names)} classes, {counts}")
    check_disjoint(splits)
    print("params.yaml: fine")


def export_set(source: Path, folder: Path) -> None:
    """Write the set as files. Raises UserError where the folder is not empty."""
    from diffaug.export import write_data_yaml, write_image_folder, write_yolo
    from diffaug.records import read_set

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; name a new folder, so that nothing is mixed or overwritten")
    images = read_set(source)
    folder.mkdir(parents=True, exist_ok=True)
    if any(record.label is not None for record in images):
        write_image_folder(images, folder)
    else:
        split = images.records[0].split if len(images) else "train"
        write_yolo(images, folder, split)
        # Ultralytics opens no folder without train and val, so both name this set.
        write_data_yaml(folder, images.names, {"train": split, "val": split})
    print(f"{folder}: {len(images)} images")


if __name__ == "__main__":
    main()
