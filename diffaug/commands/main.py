"""The `diffaug` command: reads the command line; each command is in the file of its name."""

import argparse
import os
import sys
from importlib.metadata import version
from pathlib import Path

from diffaug.runtime.errors import UserError, in_words, not_utf8
from diffaug.runtime.start import STOPPED, begin, interruptible

_EXAMPLES = """examples:
  diffaug start ~/photos                         look at your images, write presets/own.yaml for them
  diffaug check                                  check params.yaml, and the folders it names
  diffaug fetch --dry                            what params.yaml needs from hubs and sites, with sizes and licences
  diffaug preset quick                           run presets/quick.yaml in a folder of its own
  diffaug use presets/bccd.yaml seeds=[0]        put a preset, and your own values, into params.yaml
  diffaug sheet strength=0.3,0.6,0.9 guidance_scale=1,3 --mode img2img
  diffaug regenerate s0-img2img-000012           make a single image again
  diffaug export data/merged/0/cls look          write a set as plain files, to look at it
  diffaug export models/det/merged-0 best.pt     write a detector for `yolo predict model=best.pt`
  diffaug convert model.ckpt model.safetensors   make a checkpoint that cannot run code
  diffaug verdict                                print the table again
  diffaug compare a.json b.json --truth gt.json  compare the predictions of any two detectors or classifiers
  diffaug study                                  run every entry of params.yaml's study, as DVC experiments
  diffaug tune merge.ratio=0.5,1,2,4             choose a setting by val, and measure it once on test
  diffaug doctor --remove                        find and remove damaged data here, in DVC's cache and on its remote

The pipeline itself is run by `dvc repro`."""


def main() -> None:
    """Run a command; a UserError gives one line and exit status 1."""
    begin("diffaug")
    arguments = _parser().parse_args()
    try:
        interruptible()
        _run(arguments)
        sys.stdout.flush()
    except UserError as error:
        sys.exit(f"diffaug: {error}")
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"diffaug: {in_words(error)}")
    except UnicodeError as error:
        sys.exit(f"diffaug: {not_utf8(error)}")
    except KeyboardInterrupt:
        sys.exit(f"diffaug: {STOPPED}")


def _run(arguments: argparse.Namespace) -> None:
    """Import only what the command needs: a network takes seconds to import."""
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    match arguments.command:
        case "check":
            from diffaug.commands.check import check, check_preset
            from diffaug.commands.preset import find_preset

            if arguments.preset is None:
                check(load_params())
            else:
                check_preset(find_preset(arguments.preset))
        case "fetch":
            from diffaug.commands.fetch import fetch

            fetch(load_params(), arguments.dry)
        case "start":
            from diffaug.commands.start import start

            print(start(arguments.photos, arguments.boxes, arguments.out, arguments.gpu, arguments.minutes))
        case "verdict":
            from diffaug.report.verdict import read_details, verdict_table

            print(verdict_table(read_details()))
            if arguments.times:
                from diffaug.report.times import times_table

                print(f"\n{times_table()}")
        case "compare":
            from diffaug.commands.compare import Options, compare

            settings = (arguments.confidence, arguments.resamples, arguments.seed)
            print(
                compare(arguments.a, arguments.b, Options(arguments.truth, arguments.names, *settings), arguments.out)
            )
        case "export":
            from diffaug.commands.export import export

            export(arguments.source, arguments.target, arguments.format)
        case "convert":
            from diffaug.commands.convert import convert

            print(convert(arguments.source, arguments.target, arguments.half))
        case "use":
            from diffaug.commands.use import use_preset

            changed = use_preset(arguments.preset, arguments.assignments)
            print(f"params.yaml: {len(changed)} changes: {', '.join(changed)}")
        case "preset":
            from diffaug.commands.preset import run_preset

            print(run_preset(arguments.preset, arguments.stage))
        case "study":
            from diffaug.commands.study import study

            print(study(load_params()))
        case "doctor":
            from diffaug.commands.doctor import doctor

            sys.exit(0 if doctor(arguments.remove, arguments.remote) else 1)
        case "tune":
            from diffaug.commands.tune import tune

            print(tune(load_params(), arguments.axes, arguments.task))
        case "sheet":
            from diffaug.commands.sheet import Axis, write_sheet

            across, down, out = Axis.parse(arguments.across), Axis.parse(arguments.down), arguments.out
            chosen, params = (arguments.task, arguments.mode, arguments.class_name), load_params()
            with memory_in_words("generate", params):
                job = write_sheet(params, across, down, *chosen, out)
            print(f"{out}: {len(across.values)} x {len(down.values)} pictures of {job.id}")
        case "regenerate":
            from diffaug.commands.regenerate import compare_again

            out = arguments.out or Path(f"{arguments.id}.png")
            params = load_params()
            with memory_in_words("generate", params):
                print(f"{out}: {compare_again(params, arguments.id, out)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="diffaug",
        description="Commands besides the pipeline.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"diffaug {version('diffaug')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_start(commands)
    check = commands.add_parser(
        "check",
        help="check params.yaml, and the folders it names, before any work",
        description="Reads params.yaml and the folders that it names, as `dvc repro` will, makes the plan, and "
        "estimates time, disk and memory. Writes nothing outside .work.",
    )
    check.add_argument("preset", nargs="?", help="check params.yaml with this preset: a name in presets/, or a path")
    fetch = commands.add_parser(
        "fetch",
        help="download the models and data sets that params.yaml names, before a run",
        description="Prints what params.yaml names on hubs and sites, with sizes and licences, and downloads what is "
        "not on this disk. If it is stopped, run it again: finished files are kept. See docs/hubs.md.",
    )
    fetch.add_argument("--dry", action="store_true", help="print only the list with the sizes")
    preset = commands.add_parser(
        "preset", help="run the pipeline with a preset, apart from params.yaml and its results"
    )
    preset.add_argument("preset", help="the name of a file in presets/, such as quick, or a path")
    preset.add_argument("stage", nargs="?", help="run only this stage and those before it, such as train_gen")
    verdict = commands.add_parser("verdict", help="print the verdict's table again")
    verdict.add_argument("--times", action="store_true", help="and the seconds and the memory of each stage")
    _add_compare(commands)
    commands.add_parser("study", help="run every entry of params.yaml's study as an experiment, and compare them")
    _add_tune(commands)
    _add_doctor(commands)
    _add_export(commands)
    _add_convert(commands)
    _add_sheet(commands)
    again = commands.add_parser("regenerate", help="make a single generated image again, and compare it")
    again.add_argument("id", help="such as s0-img2img-000012, from the id column of data/generated")
    again.add_argument("--out", type=Path, help="the PNG to write (default: ID.png)")
    use = commands.add_parser("use", help="put a preset into params.yaml, such as presets/bccd.yaml")
    use.add_argument("preset", type=Path, help="a YAML file with the values to change in params.yaml")
    use.add_argument("assignments", nargs="*", metavar="KEY=VALUE", help="such as train_det.steps=200")
    return parser


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
        "--minutes", type=_minutes, help="train fewer steps, so that a CPU needs about this time: for a first try"
    )
    start.add_argument("--gpu", action="store_true", help="choose as for a GPU with 12 GB, which this machine lacks")


def _add_convert(commands: argparse._SubParsersAction) -> None:
    convert = commands.add_parser(
        "convert", help="write the tensors of a pickled checkpoint (.ckpt, .pt) as .safetensors, running nothing in it"
    )
    convert.add_argument("source", type=Path, help="such as model.ckpt")
    convert.add_argument("target", type=Path, help="such as model.safetensors")
    convert.add_argument("--half", action="store_true", help="write float32 as float16, which halves the size")


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 1 <= minutes <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100000")
    return minutes


def _add_compare(commands: argparse._SubParsersAction) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare the predictions of any two models, of any trainer: is the difference more than chance?",
        description="A and B are each a file, a folder of files, or a pattern in quotes such as 'a-*/results.json': "
        "one file per training. Detection: COCO results (.json) and --truth. Classification: tables (.csv, .parquet) "
        "with a column id, a column per class, and label or --truth. Needs no params.yaml.",
    )
    for side in ("a", "b"):
        compare.add_argument(side, metavar=side.upper(), help=f"the predictions of {side.upper()}")
    compare.add_argument("--truth", type=Path, help="COCO ground truth, or a table with the columns id and label")
    compare.add_argument("--names", type=Path, help="class names, one a line, where tables number their classes from 0")
    compare.add_argument("--out", type=Path, metavar="FOLDER", help="write table, plots and numbers into this folder")
    compare.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    compare.add_argument("--resamples", type=int, default=1000, help="of the test images (default: 1000)")
    compare.add_argument("--seed", type=int, default=0, help="of the resamples (default: 0)")


def _add_tune(commands: argparse._SubParsersAction) -> None:
    tune = commands.add_parser(
        "tune", help="train with a grid of settings, choose by real val, and measure the best one alone on test"
    )
    tune.add_argument("axes", nargs="+", metavar="KEY=VALUE,VALUE", help="such as merge.ratio=0.5,1,2,4")
    tune.add_argument("--task", choices=("cls", "det"), help="whose val decides (default: cls if it has images)")


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
        "new file: .onnx, or .pt for a detector; of a generator, a new folder",
    )
    export.add_argument(
        "--format",
        choices=("image_folder", "yolo", "coco"),
        help="default: image_folder for labels, yolo for boxes",
    )


def _add_sheet(commands: argparse._SubParsersAction) -> None:
    sheet = commands.add_parser("sheet", help="draw one image over a grid of two settings, before a long run")
    sheet.add_argument("across", help="such as num_inference_steps=10,20,40, strength=0.3,0.5,0.7 or seed=1,2,3")
    sheet.add_argument("down", help="such as scheduler=ddim,euler_a, or 'prompt=a {class}|a drawn {class}'")
    sheet.add_argument("--task", choices=("cls", "det"), help="the task of the mode (default: cls if it has images)")
    sheet.add_argument("--mode", help="one of generate.cls.modes or generate.det.modes (default: the first)")
    sheet.add_argument("--class", dest="class_name", help="the class to draw (default: the first)")
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"), help="the PNG to write (default: sheet.png)")


if __name__ == "__main__":
    main()
