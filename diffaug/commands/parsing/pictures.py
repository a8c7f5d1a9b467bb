"""The command line of what draws by hand: draw, sheet, regenerate."""

import argparse
from pathlib import Path
from typing import Any

from diffaug.commands.parsing.drawing import add_model, add_settings, changes_of, naming_options
from diffaug.commands.parsing.values import WithExamples, count, numbers

_DRAW_EXAMPLES = """examples:
  diffaug draw "a photo of a Bag" --n 8 --grid
  diffaug draw "a photo of a Bag" --scheduler pndm --steps 50 --seed 7 --same-noise
  diffaug draw "a watercolour of a house" --image house.jpg --strength 0.4,0.8 --use-in generate.cls.modes.img2img
  diffaug draw "a red roof" --image house.jpg --mask roof.png
  diffaug draw --from-file prompts.txt --model ./model.safetensors --lora ./style.safetensors:0.8"""

_SHEET_EXAMPLES = """examples:
  diffaug sheet strength=0.3,0.6,0.9 guidance_scale=1,3 --mode img2img
  diffaug sheet num_inference_steps=5,10,20,50,100 scheduler=ddim,pndm,lms,euler --prompt "a photo of a Bag"
  diffaug sheet strength=0.4,0.8 'prompt=a watercolour|an etching' seed=1,2 --prompt x --image house.jpg
  diffaug sheet lora_scale=0,0.5,1 seed=1,2,3 --prompt "a photo of a Bag" --lora ./bags.safetensors
  diffaug sheet guidance_scale=1,2,4 --kid 200 --csv guidance.csv"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_draw(commands)
    _add_sheet(commands)
    _add_regenerate(commands)


def _add_draw(commands: argparse._SubParsersAction) -> None:
    draw = commands.add_parser(
        "draw",
        help="draw any prompt, or a photograph with a prompt",
        description="Draws by the model and the settings of params.yaml's section generate, unless others are given. "
        "The PNGs carry their settings, as those of Stable Diffusion WebUI do. Needs no data set.",
        epilog=_DRAW_EXAMPLES,
        formatter_class=WithExamples,
    )
    draw.add_argument("prompt", nargs="?", help="what to draw")
    draw.add_argument("--negative", default="", metavar="TEXT", help="what not to draw (default: nothing)")
    draw.add_argument("--from-file", type=Path, metavar="FILE", help="a prompt a line; options as in prompts/README.md")
    draw.add_argument("--image", type=Path, help="a picture to draw over; the result has its size")
    draw.add_argument("--mask", type=Path, help="a picture as large as it, white where it is drawn anew (inpainting)")
    draw.add_argument("--strength", type=numbers, default=(0.6,), help="0 to 1, one or several (default: 0.6)")
    draw.add_argument("--n", type=count, default=1, dest="count", help="images of each (default: 1)")
    draw.add_argument("--seed", type=int, default=0, help="of the first image; the next have the next (default: 0)")
    draw.add_argument("--same-noise", action="store_true", help="start all images from the same noise")
    add_model(draw)
    add_settings(draw)
    draw.add_argument("--batch", type=int, dest="batch_size", help="images that are drawn together")
    draw.add_argument("--out", type=Path, default=Path("drawn"), help="a folder; its files are numbered on (drawn)")
    draw.add_argument("--grid", action="store_true", help="write all of them on one sheet too")
    draw.add_argument("--columns", type=count, default=4, help="of the sheet (default: 4)")
    draw.add_argument("--use-in", metavar="KEY", help="put the given settings into this section of params.yaml")
    draw.set_defaults(run=_draw)


def _draw(arguments: argparse.Namespace) -> None:
    from diffaug.commands.draw import draw, make_wish
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    wish = make_wish(
        arguments.prompt,
        arguments.negative,
        arguments.from_file,
        count=arguments.count,
        seed=arguments.seed,
        same_noise=arguments.same_noise,
        image=arguments.image,
        mask=arguments.mask,
        strengths=arguments.strength,
    )
    params = load_params()
    with naming_options(arguments), memory_in_words("generate", params):
        columns = arguments.columns if arguments.grid else None
        paths = draw(params.generate, changes_of(arguments), wish, arguments.out, columns, arguments.use_in)
    print("\n".join(map(str, paths)))


def _add_sheet(commands: argparse._SubParsersAction) -> None:
    sheet = commands.add_parser(
        "sheet",
        help="draw one image over a grid of settings, before a long run",
        description="Draws an image of the plan, or a prompt of your own, with all values of one or more settings: the "
        "first goes across, the second down, and each choice of the others has its own page. A cell says the seconds "
        "of an image.",
        epilog=_SHEET_EXAMPLES,
        formatter_class=WithExamples,
    )
    sheet.add_argument("axes", nargs="+", metavar="NAME=VALUE,VALUE", help="such as strength=0.3,0.6 or seed=1,2,3")
    sheet.add_argument("--task", choices=("cls", "det"), help="the task of the mode (default: cls if it has images)")
    sheet.add_argument("--mode", help="one of generate.cls.modes or generate.det.modes (default: the first)")
    sheet.add_argument("--class", dest="class_name", help="the class to draw (default: the first)")
    sheet.add_argument("--prompt", help="draw this instead of an image of the plan; needs no data set")
    sheet.add_argument("--image", type=Path, help="with --prompt: a picture to draw over")
    sheet.add_argument("--mask", type=Path, help="a picture as large as it, white where it is drawn anew (inpainting)")
    add_model(sheet)
    sheet.add_argument("--seed", type=int, help="with --prompt: of the noise (default: 0)")
    sheet.add_argument(
        "--kid", type=count, metavar="N", help="draw N images in each cell, 100 or more, and say their KID"
    )
    sheet.add_argument("--real", type=Path, metavar="DIR", help="the pictures for KID (default: the real train images)")
    sheet.add_argument("--csv", type=Path, metavar="FILE", help="write the numbers of all cells as a table too")
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"), help="the PNG to write (default: sheet.png)")
    sheet.set_defaults(run=_sheet)


def _sheet(arguments: argparse.Namespace) -> None:
    from diffaug.commands.sheet import sheet
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    params = load_params()
    with naming_options(arguments), memory_in_words("generate", params):
        print("\n".join(map(str, sheet(params, **_chosen(arguments)))))


def _chosen(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given for the function of the command."""
    return {key: value for key, value in vars(arguments).items() if key not in ("command", "run")}


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
