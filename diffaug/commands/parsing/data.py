"""The command line of what looks at, fetches, writes and mends files: start, check, fetch, export, convert,
merge-models, doctor."""

import argparse
import sys
from pathlib import Path

from diffaug.commands.parsing.values import WithExamples, lora, minutes

_MERGE_EXAMPLES = """examples:
  diffaug merge-models a.safetensors b.safetensors --alpha 0.3 --out c.safetensors
  diffaug merge-models a b --alpha 1 --mode add_difference --base c --out d
  diffaug merge-models a.safetensors --lora style.safetensors:0.8 --out e.safetensors"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_start(commands)
    _add_check(commands)
    _add_fetch(commands)
    _add_doctor(commands)
    _add_export(commands)
    _add_convert(commands)
    _add_merge_models(commands)


def _add_start(commands: argparse._SubParsersAction) -> None:
    start = commands.add_parser(
        "start", help="look at your photographs and this machine, and write a preset that suits them, with reasons"
    )
    start.add_argument("photos", type=Path, help="a folder: one folder per class, or images with boxes beside them")
    start.add_argument("boxes", type=Path, nargs="?", help="the folder or file of the boxes, if they lie elsewhere")
    start.add_argument(
        "--out", type=Path, default=Path("presets/own.yaml"), help="the preset to write (default: presets/own.yaml)"
    )
    start.add_argument(
        "--minutes", type=minutes, help="train fewer steps, so that a CPU needs about this time: for a first try"
    )
    start.add_argument("--gpu", action="store_true", help="choose as for a GPU with 12 GB, which this machine lacks")
    start.set_defaults(run=_start)


def _start(arguments: argparse.Namespace) -> None:
    from diffaug.commands.start import start

    print(start(arguments.photos, arguments.boxes, arguments.out, arguments.gpu, arguments.minutes))


def _add_check(commands: argparse._SubParsersAction) -> None:
    check = commands.add_parser(
        "check",
        help="check params.yaml, and the folders it names, before any work",
        description="Reads params.yaml and the folders that it names, as `dvc repro` will, makes the plan, and "
        "estimates time, disk and memory. Writes nothing outside .work.",
    )
    check.add_argument("preset", nargs="?", help="check params.yaml with this preset: a name in presets/, or a path")
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> None:
    from diffaug.commands.check import check, check_preset
    from diffaug.commands.preset import find_preset
    from diffaug.params import load_params

    if arguments.preset is None:
        check(load_params())
    else:
        check_preset(find_preset(arguments.preset))


def _add_fetch(commands: argparse._SubParsersAction) -> None:
    fetch = commands.add_parser(
        "fetch",
        help="download the models and data sets that params.yaml names, before a run",
        description="Prints what params.yaml names on hubs and sites, with sizes and licences, and downloads what is "
        "not on this disk. If it is stopped, run it again: finished files are kept. See docs/hubs.md.",
    )
    fetch.add_argument("--dry", action="store_true", help="print only the list with the sizes")
    fetch.set_defaults(run=_fetch)


def _fetch(arguments: argparse.Namespace) -> None:
    from diffaug.commands.fetch import fetch
    from diffaug.params import load_params

    fetch(load_params(), arguments.dry)


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    doctor = commands.add_parser(
        "doctor", help="compare all data with dvc.lock, byte by byte: here, in DVC's cache and on its remote"
    )
    doctor.add_argument(
        "--remove",
        action="store_true",
        help="remove damaged copies, so that DVC brings or makes good ones (default: only say what is wrong)",
    )
    doctor.add_argument("--remote", metavar="NAME", help="a remote of .dvc/config (default: its core.remote)")
    doctor.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> None:
    from diffaug.commands.doctor import doctor

    sys.exit(0 if doctor(arguments.remove, arguments.remote) else 1)


def _add_export(commands: argparse._SubParsersAction) -> None:
    export = commands.add_parser(
        "export", help="write an image set as plain files, or a trained model or a generator to use elsewhere"
    )
    export.add_argument(
        "source",
        type=Path,
        help="such as data/real/cls (all its splits), data/merged/0/cls/train, data/filtered/cls (by reason), or a "
        "model such as models/det/merged-0, or models/generator",
    )
    export.add_argument(
        "target",
        type=Path,
        help="of a set, a new or empty folder: an ImageFolder, or a YOLO folder if the set has boxes; of a model, a "
        "new file: .onnx, or .pt for a detector; of a generator, a new folder; of a LoRA, a new .safetensors file",
    )
    export.add_argument(
        "--format",
        choices=("image_folder", "yolo", "coco", "kohya"),
        help="default: image_folder for labels, yolo for boxes; kohya: of a LoRA in models/generator, for WebUI and "
        "ComfyUI",
    )
    export.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    from diffaug.commands.export import export

    export(arguments.source, arguments.target, arguments.format)


def _add_convert(commands: argparse._SubParsersAction) -> None:
    convert = commands.add_parser(
        "convert", help="write the tensors of a pickled checkpoint (.ckpt, .pt) as .safetensors, running nothing in it"
    )
    convert.add_argument("source", type=Path, help="such as model.ckpt")
    convert.add_argument("target", type=Path, help="such as model.safetensors")
    convert.add_argument("--half", action="store_true", help="write float32 as float16, which halves the size")
    convert.set_defaults(run=_convert)


def _convert(arguments: argparse.Namespace) -> None:
    from diffaug.commands.convert import convert

    print(convert(arguments.source, arguments.target, arguments.half))


def _add_merge_models(commands: argparse._SubParsersAction) -> None:
    merge = commands.add_parser(
        "merge-models",
        help="merge two checkpoints or pipeline folders, as WebUI's Checkpoint Merger does, or add LoRAs to one",
        description="weighted_sum: (1 - alpha) A + alpha B. add_difference: A + alpha (B - base). With --lora, and "
        "without B: A + SCALE x LoRA.",
        epilog=_MERGE_EXAMPLES,
        formatter_class=WithExamples,
    )
    merge.add_argument("a", type=Path, metavar="A", help="a .safetensors checkpoint, or a folder in the hub's layout")
    merge.add_argument("b", type=Path, nargs="?", metavar="B", help="of the same kind")
    merge.add_argument("--alpha", type=float, help="0 (all of A) to 1 (all of B)")
    merge.add_argument("--lora", type=lora, action="append", metavar="PATH:SCALE", help="several can be given")
    merge.add_argument("--mode", choices=("weighted_sum", "add_difference"), default="weighted_sum")
    merge.add_argument("--base", type=Path, help="of add_difference: the model of which B was made")
    merge.add_argument("--out", type=Path, required=True, help="a new .safetensors file, or a new folder")
    merge.set_defaults(run=_merge_models)


def _merge_models(arguments: argparse.Namespace) -> None:
    from diffaug.commands.merge_lora import merge_lora
    from diffaug.commands.merge_models import merge_models
    from diffaug.runtime.errors import UserError

    if arguments.lora:
        if arguments.b or arguments.alpha is not None or arguments.base or arguments.mode != "weighted_sum":
            raise UserError(
                "merge-models: --lora takes no B, --alpha, --mode or --base; merge two models in a second go"
            )
        loras = [(Path(one["path"]), one["scale"]) for one in arguments.lora]
        print(merge_lora(arguments.a, loras, arguments.out))
        return
    if arguments.b is None:
        raise UserError("merge-models: give a second model B, or a LoRA with --lora PATH:SCALE")
    if arguments.alpha is None:
        raise UserError("merge-models: give --alpha, such as 0.5: 0 is all of A, 1 all of B")
    if (arguments.mode == "add_difference") != (arguments.base is not None):
        raise UserError("merge-models: add_difference needs --base, and weighted_sum takes none")
    print(merge_models(arguments.a, arguments.b, arguments.base, arguments.alpha, arguments.out))
