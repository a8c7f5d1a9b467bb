"""The command line of what makes, judges and enlarges series of pictures: story, score, upscale."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffaug.commands.parsing.drawing import add_model, add_settings, changes_of, naming_options
from diffaug.commands.parsing.values import WithExamples, count, fraction, model, model_name, percent, tile
from diffaug.runtime.errors import UserError

if TYPE_CHECKING:
    from diffaug.commands.score import Networks

_STORY_EXAMPLES = """examples:
  diffaug story story.txt --style "children's picture book, watercolour" --lora ./style.safetensors:0.8
  diffaug story story.txt --coherence previous --strength 0.7 --aesthetic OWNER/PREDICTOR@COMMIT --out hare"""

_SCORE_EXAMPLES = """examples:
  diffaug score drawn --csv scores.csv
  diffaug score drawn --aesthetic OWNER/PREDICTOR@COMMIT --least 6
  diffaug score drawn --clip OWNER/CLIP@COMMIT --prompt "a photo of a Bag\""""

_UPSCALE_EXAMPLES = """examples:
  diffaug upscale photo.jpg large.png --factor 4
  diffaug upscale drawn large --model RealESRGAN_x4plus.safetensors --sharpen"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_story(commands)
    _add_score(commands)
    _add_upscale(commands)


def _add_story(commands: argparse._SubParsersAction) -> None:
    story = commands.add_parser(
        "story",
        help="draw a series of pictures in one style, with a captioned sheet, scores and a card",
        description="Draws a picture for each line of a file of prompts, to which the style is appended, by the model "
        "and the settings of params.yaml's section generate, unless others are given; writes a folder that can be "
        "published as it is.",
        epilog=_STORY_EXAMPLES,
        formatter_class=WithExamples,
    )
    story.add_argument("file", type=Path, help="a prompt a line, as for `diffaug draw --from-file`")
    story.add_argument("--style", default="", metavar="TEXT", help="is appended to each prompt")
    story.add_argument("--negative", default="", metavar="TEXT", help="what not to draw (default: nothing)")
    story.add_argument(
        "--coherence",
        choices=("noise", "previous", "none"),
        default="noise",
        help="noise: all start from the same noise; previous: each is drawn over the one before (default: noise)",
    )
    story.add_argument("--strength", type=fraction, default=0.75, help="with previous: 0 to 1 (default: 0.75)")
    story.add_argument("--n", type=count, dest="count", help="the first so many lines (default: 8, or all)")
    story.add_argument("--seed", type=int, default=0, help="of the first picture (default: 0)")
    add_model(story)
    add_settings(story)
    _add_aesthetic(story)
    story.add_argument("--out", type=Path, default=Path("story"), help="a new folder (default: story)")
    story.set_defaults(run=_story)


def _story(arguments: argparse.Namespace) -> None:
    from diffaug.commands.story import read_story, story
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    chosen = {key: getattr(arguments, key) for key in ("style", "coherence", "strength", "seed")}
    wished = read_story(arguments.file, arguments.negative, arguments.count, **chosen)
    networks, params = _networks(arguments.aesthetic, arguments.least), load_params()
    with naming_options(arguments), memory_in_words("generate", params):
        scores, said = story(params.generate, changes_of(arguments), wished, networks, arguments.out)
    print("\n".join([*scores.lines(), *said]))


def _add_score(commands: argparse._SubParsersAction) -> None:
    score = commands.add_parser(
        "score",
        help="score the pictures of a folder",
        description="Prints a table with the means: the spread of the grey levels, their entropy and sharpness, the "
        "nearest other picture, the aesthetic score (with --aesthetic or filter.cls.aesthetic), and how well a picture "
        "fits its prompt (with --clip or --prompt).",
        epilog=_SCORE_EXAMPLES,
        formatter_class=WithExamples,
    )
    score.add_argument("folder", type=Path)
    _add_aesthetic(score)
    score.add_argument(
        "--clip", type=model, help="a CLIP, as --aesthetic (default, with --prompt: filter.cls.text.model)"
    )
    score.add_argument("--prompt", help="of all pictures (default: the one that each picture carries)")
    score.add_argument("--csv", type=Path, metavar="FILE", help="write the rows as a table too")
    score.set_defaults(run=_score)


def _add_aesthetic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--aesthetic",
        type=model,
        metavar="MODEL",
        help="the predictor, a folder or OWNER/MODEL@COMMIT with CLIP and head (default: filter.cls.aesthetic)",
    )
    parser.add_argument("--least", type=float, help="the mean aesthetic score that is wished (default: 6, or its min)")


def _score(arguments: argparse.Namespace) -> None:
    from diffaug.commands.score import score

    chosen = _networks(arguments.aesthetic, arguments.least, arguments.clip, arguments.prompt)
    with naming_options(arguments):
        found = score(arguments.folder, chosen)
    if arguments.csv is not None:
        found.write(arguments.csv)
    print("\n".join(found.lines()))


def _add_upscale(commands: argparse._SubParsersAction) -> None:
    upscale = commands.add_parser(
        "upscale",
        help="enlarge a picture, or a folder of them, as WebUI's Extras does",
        description="By Pillow, by a network of super-resolution in a file (ESRGAN, Real-ESRGAN, SwinIR, ...), or by "
        "an upscaler of diffusers. Keeps transparency, grey, and the settings that a picture carries. See "
        "docs/by-hand.md.",
        epilog=_UPSCALE_EXAMPLES,
        formatter_class=WithExamples,
    )
    upscale.add_argument("source", type=Path, metavar="IN", help="a picture, or a folder of pictures")
    upscale.add_argument("out", type=Path, metavar="OUT", help="a .png, or a folder: the same kind as IN")
    upscale.add_argument("--factor", type=int, choices=(2, 4), default=2, help="of both sides (default: 2)")
    upscale.add_argument("--method", choices=("lanczos", "nearest"), help="without a model (default: lanczos)")
    upscale.add_argument("--model", type=model, help="a .safetensors file, a folder, or OWNER/MODEL@COMMIT")
    upscale.add_argument("--allow-pickle", action="store_true", help="read a .pth too: its tensors, and nothing else")
    upscale.add_argument("--tile", type=tile, help="pixels of a side; 0: whole pictures (default: as suits the model)")
    upscale.add_argument(
        "--sharpen", type=percent, nargs="?", const=100, default=0, metavar="PERCENT", help="unsharp mask (100)"
    )
    upscale.add_argument("--prompt", default="", help="of an upscaler of diffusers: what the picture shows")
    upscale.add_argument("--steps", type=count, help="of an upscaler of diffusers")
    upscale.add_argument("--seed", type=int, default=0, help="of an upscaler of diffusers (default: 0)")
    upscale.set_defaults(run=_upscale)


def _upscale(arguments: argparse.Namespace) -> None:
    from diffaug.commands.upscale import Wish, upscale

    named = arguments.model or {}
    if named and arguments.method:
        raise UserError("upscale: --method is for Pillow, without a model; give --method or --model")
    drawn = {key: vars(arguments)[key] for key in ("prompt", "steps", "seed")}
    if not named and (arguments.allow_pickle or arguments.tile is not None or any(drawn.values())):
        raise UserError("upscale: --allow-pickle, --tile, --prompt, --steps and --seed are for a --model; give one")
    wish = Wish(
        arguments.factor,
        arguments.method or "lanczos",
        named.get("name"),
        named.get("revision"),
        named.get("hub"),
        arguments.allow_pickle,
        arguments.tile,
        arguments.sharpen,
        **drawn,
    )
    print(upscale(arguments.source, arguments.out, wish))


def _networks(predictor: Any, least: float | None, clip: Any = None, prompt: str | None = None) -> "Networks":
    """The networks that were given, or those of params.yaml, if there is one here."""
    from diffaug.commands.score import LEAST, Networks
    from diffaug.params import load_params
    from diffaug.params.filter import Aesthetic, ClsChecks

    own = load_params().filter.cls if Path("params.yaml").exists() else ClsChecks()
    judge, reader = own.aesthetic, None
    if predictor is not None:
        judge = Aesthetic(model=model_name("--aesthetic", predictor), min=LEAST)
    if least is not None and (judge is None or not math.isfinite(least)):
        raise UserError(f"--least: found {least:g}; give a number, and a predictor with --aesthetic")
    if judge is not None and least is not None:
        judge = judge.model_copy(update={"min": least})
    if clip is not None:
        reader = model_name("--clip", clip)
    elif prompt is not None:
        if own.text is None:
            raise UserError("score: --prompt: which network compares it with the pictures? Name a CLIP with --clip")
        reader = own.text.model
    return Networks(judge, reader, prompt)
