"""The `diffaug` command: what is not a stage."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffaug.params import Params, load_params
from diffaug.params.base import GENERATOR, is_local
from diffaug.params.download import Crops, Hub
from diffaug.params.filter import TorchvisionNetwork
from diffaug.runtime.errors import UserError


def main() -> None:
    """Run `diffaug check | use | verdict | export | sheet | regenerate`; a UserError is one line and exit 1."""
    parser = argparse.ArgumentParser(prog="diffaug", description="Beside the pipeline, which `dvc repro` runs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("check", help="check params.yaml, and the folders it names, before any work")
    commands.add_parser("verdict", help="print the verdict's table again")
    export = commands.add_parser("export", help="write an image set as plain files, to look into it")
    export.add_argument(
        "set",
        type=Path,
        help="such as data/real/cls (all its splits), data/merged/cls/train, or data/filtered/cls (by reason)",
    )
    export.add_argument(
        "folder", type=Path, help="a new or empty folder: an ImageFolder, or a YOLO folder where the set has boxes"
    )
    export.add_argument(
        "--format",
        choices=("image_folder", "yolo", "coco"),
        help="image_folder or yolo, by what the set has, if not given",
    )
    sheet = commands.add_parser("sheet", help="draw one image over a grid of two settings, before a long run")
    sheet.add_argument("across", help="such as num_inference_steps=10,20,40, strength=0.3,0.5,0.7 or seed=1,2,3")
    sheet.add_argument("down", help="such as scheduler=ddim,euler_a, or 'prompt=a {class}|a drawn {class}'")
    sheet.add_argument("--task", choices=("cls", "det"), help="whose modes (default: cls where it has images)")
    sheet.add_argument("--mode", help="of generate.cls.modes or generate.det.modes (default: the first)")
    sheet.add_argument("--class", dest="class_name", help="the class to draw (default: the first)")
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"), help="the PNG to write (default: sheet.png)")
    again = commands.add_parser("regenerate", help="make one generated image again, alone, and compare it")
    again.add_argument("id", help="such as img2img-000012, of the id column of data/generated")
    again.add_argument("--out", type=Path, help="the PNG to write (default: ID.png)")
    use = commands.add_parser("use", help="put a preset over params.yaml, such as presets/bccd.yaml")
    use.add_argument("preset", type=Path, help="a YAML file with what params.yaml is to say otherwise")
    use.add_argument("assignments", nargs="*", metavar="KEY=VALUE", help="such as train_det.steps=200")
    commands.add_parser("study", help="run every recipe and ratio of params.yaml as an experiment, and compare them")
    arguments = parser.parse_args()
    try:
        match arguments.command:
            case "check":
                check(load_params())
            case "verdict":
                from diffaug.report.verdict import read_metrics, verdict_table

                print(verdict_table(read_metrics()))
            case "export":
                from diffaug.commands.export import export_set

                export_set(arguments.set, arguments.folder, arguments.format)
            case "sheet":
                draw_sheet(load_params(), arguments)
            case "use":
                from diffaug.commands.use import use_preset

                changed = use_preset(arguments.preset, arguments.assignments)
                print(f"params.yaml: {len(changed)} changes: {', '.join(changed)}")
            case "study":
                study(load_params())
            case "regenerate":
                regenerate(load_params(), arguments.id, arguments.out or Path(f"{arguments.id}.png"))
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"diffaug: {error}")
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"diffaug: {error.filename or 'a file'}: {error.strerror or error}")


def check(params: Params) -> None:
    """Build the networks that the params name, read the folders as `download` would, and say what was found."""
    from diffaug.classifier import network as classifier
    from diffaug.detector import network as detector

    _check_files(params)
    if params.download.cls is not None:
        named = not (params.train_cls.weights or "").endswith(".safetensors")  # torchvision's own are a download
        classifier.build(params.train_cls.model_copy(update={"weights": None}) if named else params.train_cls, 2)
    if params.download.det is not None:
        detector.build(params.train_det, ("one", "two"))
    _check_networks(params)
    _check_images(params)
    print("params.yaml: fine")


def _check_networks(params: Params) -> None:
    """Raises UserError where the filter names a network that torchvision does not have."""
    from diffaug.scoring.networks import check_torchvision

    for task in ("cls", "det"):
        checks = getattr(params.filter, task)
        for name, section in (("embedding", checks.embedding), ("quality", checks.quality)):
            named = section is not None and isinstance(section.network, TorchvisionNetwork)
            if named and getattr(params.download, task) is not None:
                check_torchvision(section.network, f"filter.{task}.{name}.network")


def _check_images(params: Params) -> None:
    """Read what lies on the disk as `download` would. Raises UserError."""
    from diffaug.runtime.work import work_folder
    from diffaug.sources.real import check_classes, check_disjoint, describe, remarks
    from diffaug.sources.tasks import NOTHING, is_local, read_cls, read_det

    download = params.download
    cut = isinstance(download.cls, Crops)
    there = {"cls": is_local(download.det if cut else download.cls), "det": is_local(download.det)}
    work = work_folder("download") if any(there.values()) else Path()
    det = read_det(download, NOTHING, work) if there["det"] else NOTHING
    cls = read_cls(download, det, work) if there["cls"] else NOTHING
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
    """Raises UserError for a field or a class that the prompts of `generate` name and nobody has."""
    from diffaug.generation.plan.prompts import check_classes, class_variants

    if cls or det:
        check_classes(params.generate, sorted({*cls, *det}))
    for names, modes in ((cls, params.generate.cls.modes.given()), (det, params.generate.det.modes.redrawn())):
        for mode in modes.values():
            class_variants(params.generate, mode, names or ["object"])


def _place(source: Any) -> str:
    if isinstance(source, Crops):
        return "crops of det"
    return source.name if isinstance(source, Hub) else source.path


def _check_files(params: Params) -> None:
    """Raises UserError where a model, weights or prompts that the params name by a local path are not there."""
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
            raise UserError(f"params.yaml: {key}: {path} does not exist; name a file or folder that does")
    if generate.model.is_file and generate.model.config is None:
        raise UserError("params.yaml: generate.model: a single file needs config:, see the comments in params.yaml")


def _local_names(values: Any, key: str) -> list[tuple[str, str]]:
    """Every path of this disk in a section, with its key."""
    if isinstance(values, dict):
        return [found for name, value in values.items() for found in _local_names(value, f"{key}.{name}")]
    local = isinstance(values, str) and (is_local(values) or values.endswith(".safetensors"))
    return [(key, values)] if local else []


def study(params: Params) -> None:
    """Run what the study lacks; write metrics/study.csv and study.png, and print the table."""
    from diffaug.commands.study import plan_study, run_study
    from diffaug.report.study import study_rows, study_table, worth, write_study

    rows = study_rows(run_study(plan_study(params), params))
    if not rows:
        raise UserError("study: no run added anything to either task; see the section study of params.yaml")
    write_study(rows, Path("metrics/study.csv"), Path("metrics/study.png"))
    print(study_table(rows))
    for line in filter(None, (worth(rows, task) for task in ("cls", "det"))):
        print(line)


def draw_sheet(params: Params, arguments: argparse.Namespace) -> None:
    """Draw the first image of a mode and class with every pair of two settings. Raises UserError."""
    from diffaug.commands.sheet import Axis, first_job, sheet
    from diffaug.generation.drawing.sampler import open_sampler
    from diffaug.generation.plan.plan import make_plan
    from diffaug.report.sheet import save_png
    from diffaug.runtime.device import choose_device

    across, down = Axis.parse(arguments.across), Axis.parse(arguments.down)
    plan = make_plan(params.generate)
    task = arguments.task or ("cls" if len(plan.cls) else "det")
    job = first_job(plan, task, arguments.mode, arguments.class_name)
    real = plan.cls if task == "cls" else plan.det
    source = next((record for record in real if record.id == job.source_id), None)
    sampler = open_sampler(params.generate, choose_device())
    save_png(sheet(sampler, job, source, across, down, real.names), arguments.out)
    print(f"{arguments.out}: {len(across.values)} x {len(down.values)} pictures of {job.id}")


def regenerate(params: Params, id: str, out: Path) -> None:
    """Make one image again and say whether it is the same as in data/generated. Raises UserError."""
    from diffaug.commands.regenerate import regenerate as draw_again
    from diffaug.dataset.records import read_set
    from diffaug.generation.drawing.drawing import Drawing
    from diffaug.generation.plan.plan import make_plan
    from diffaug.runtime.device import choose_device
    from diffaug.runtime.files import atomic_path
    from diffaug.runtime.work import work_folder

    drawing = Drawing(params.generate, make_plan(params.generate), work_folder("generate"), choose_device())
    data = draw_again(drawing, params.generate, id)
    with atomic_path(out) as temporary:
        temporary.write_bytes(data)
    tables = [folder for folder in (Path("data/generated/cls"), Path("data/generated/det")) if folder.exists()]
    kept = [record.image for folder in tables for record in read_set(folder) if record.id == id]
    verdict = "there is no image of this id in data/generated to compare with"
    if kept == [data]:
        verdict = "the same bytes as in data/generated"
    elif kept:
        verdict = "not as in data/generated, which other settings, code, libraries or another device made"
    print(f"{out}: {verdict}")


if __name__ == "__main__":
    main()
