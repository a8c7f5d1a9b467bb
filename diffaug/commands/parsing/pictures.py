"""The command line of what draws by hand: sheet, regenerate."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_sheet(commands)
    _add_regenerate(commands)


def _add_sheet(commands: argparse._SubParsersAction) -> None:
    sheet = commands.add_parser("sheet", help="draw one image over a grid of two settings, before a long run")
    sheet.add_argument("across", help="such as num_inference_steps=10,20,40, strength=0.3,0.5,0.7 or seed=1,2,3")
    sheet.add_argument("down", help="such as scheduler=ddim,euler_a, or 'prompt=a {class}|a drawn {class}'")
    sheet.add_argument("--task", choices=("cls", "det"), help="the task of the mode (default: cls if it has images)")
    sheet.add_argument("--mode", help="one of generate.cls.modes or generate.det.modes (default: the first)")
    sheet.add_argument("--class", dest="class_name", help="the class to draw (default: the first)")
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"), help="the PNG to write (default: sheet.png)")
    sheet.set_defaults(run=_sheet)


def _sheet(arguments: argparse.Namespace) -> None:
    from diffaug.commands.sheet import Axis, write_sheet
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    across, down, out = Axis.parse(arguments.across), Axis.parse(arguments.down), arguments.out
    chosen, params = (arguments.task, arguments.mode, arguments.class_name), load_params()
    with memory_in_words("generate", params):
        job = write_sheet(params, across, down, *chosen, out)
    print(f"{out}: {len(across.values)} x {len(down.values)} pictures of {job.id}")


def _add_regenerate(commands: argparse._SubParsersAction) -> None:
    again = commands.add_parser("regenerate", help="make a single generated image again, and compare it")
    again.add_argument("id", help="such as s0-img2img-000012, from the id column of data/generated")
    again.add_argument("--out", type=Path, help="the PNG to write (default: ID.png)")
    again.set_defaults(run=_regenerate)


def _regenerate(arguments: argparse.Namespace) -> None:
    from diffaug.commands.regenerate import compare_again
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    out = arguments.out or Path(f"{arguments.id}.png")
    params = load_params()
    with memory_in_words("generate", params):
        print(f"{out}: {compare_again(params, arguments.id, out)}")
