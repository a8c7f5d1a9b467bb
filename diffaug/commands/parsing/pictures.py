"""The command line of what draws by hand: draw, sheet, info, upscale, noise, denoise, regenerate."""

import argparse
from pathlib import Path
from typing import Any

from diffaug.commands.parsing.values import count, lora, model, numbers, percent, tile, whole_numbers

_DRAW_EXAMPLES = """examples:
  diffaug draw "a photo of a Bag" --n 8 --grid
  diffaug draw "a photo of a Bag" --scheduler pndm --steps 50 --seed 7 --same-noise
  diffaug draw "a watercolour of a house" --image house.jpg --strength 0.4,0.8 --use-in generate.cls.modes.img2img
  diffaug draw "a red roof" --image house.jpg --mask roof.png
  diffaug draw --from-file prompts.txt --model ./model.safetensors --lora ./style.safetensors:0.8"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_draw(commands)
    _add_sheet(commands)
    _add_info(commands)
    _add_upscale(commands)
    _add_noise(commands)
    _add_denoise(commands)
    _add_regenerate(commands)


def _add_draw(commands: argparse._SubParsersAction) -> None:
    draw = commands.add_parser(
        "draw",
        help="draw any prompt, or a photograph with a prompt",
        description="Draws by the model and the settings of params.yaml's section generate, unless others are given. "
        "The PNGs carry their settings, as those of Stable Diffusion WebUI do. Needs no data set.",
        epilog=_DRAW_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    draw.add_argument("--model", type=model, help="a folder, a .safetensors file, or OWNER/MODEL@COMMIT")
    draw.add_argument("--lora", type=lora, action="append", metavar="PATH:SCALE", help="several can be given")
    draw.add_argument("--scheduler", help="such as ddim, pndm, euler_a or dpmpp_2m_karras")
    draw.add_argument("--steps", type=int, dest="num_inference_steps")
    draw.add_argument("--guidance", type=float, dest="guidance_scale", help="WebUI's CFG scale")
    draw.add_argument("--eta", type=float, help="of ddim and tcd: 0 adds no noise on the way, 1 adds as much as DDPM")
    draw.add_argument("--height", type=int, help="of what the model draws, in pixels")
    draw.add_argument("--width", type=int)
    draw.add_argument("--batch", type=int, dest="batch_size", help="images that are drawn together")
    draw.add_argument("--dtype", choices=("auto", "float32", "float16", "bfloat16"))
    draw.add_argument("--out", type=Path, default=Path("drawn"), help="a folder; its files are numbered on (drawn)")
    draw.add_argument("--grid", action="store_true", help="write all of them on one sheet too")
    draw.add_argument("--columns", type=count, default=4, help="of the sheet (default: 4)")
    draw.add_argument("--use-in", metavar="KEY", help="put the given settings into this section of params.yaml")
    draw.set_defaults(run=_draw)


def _draw(arguments: argparse.Namespace) -> None:
    from diffaug.commands.draw import draw, make_wish
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    given: dict[str, Any] = vars(arguments)
    keys = ("scheduler", "num_inference_steps", "guidance_scale", "eta", "height", "width", "batch_size", "dtype")
    changes = {key: given[key] for key in (*keys, "model") if given[key] is not None}
    changes |= {"loras": arguments.lora} if arguments.lora else {}
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
    with memory_in_words("generate", params):
        columns = arguments.columns if arguments.grid else None
        paths = draw(params.generate, changes, wish, arguments.out, columns, arguments.use_in)
    print("\n".join(map(str, paths)))


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


def _add_info(commands: argparse._SubParsersAction) -> None:
    info = commands.add_parser(
        "info", help="print the prompt and the settings that a picture carries, as WebUI's PNG Info does"
    )
    info.add_argument("picture", type=Path, help="by diffaug, WebUI, ComfyUI, InvokeAI, NovelAI or Fooocus")
    info.add_argument("--use-in", metavar="KEY", help="put the settings into this section of params.yaml")
    info.set_defaults(run=_info)


def _info(arguments: argparse.Namespace) -> None:
    from diffaug.commands.info import read_info, use_info

    info = read_info(arguments.picture)
    print("\n".join(info.lines()))
    if arguments.use_in is not None:
        changed = use_info(info, arguments.use_in)
        print(f"params.yaml: {len(changed)} changes: {', '.join(changed) or 'it has these values already'}")


def _add_upscale(commands: argparse._SubParsersAction) -> None:
    upscale = commands.add_parser(
        "upscale",
        help="enlarge a picture, or a folder of them, as WebUI's Extras does",
        description="By Pillow, by a network of super-resolution in a file (ESRGAN, Real-ESRGAN, SwinIR, ...), or by "
        "an upscaler of diffusers. Keeps transparency, grey, and the settings that a picture carries. See "
        "docs/by-hand.md.",
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
    from diffaug.runtime.errors import UserError

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
        arguments.allow_pickle,
        arguments.tile,
        arguments.sharpen,
        **drawn,
    )
    print(upscale(arguments.source, arguments.out, wish))


def _add_noise(commands: argparse._SubParsersAction) -> None:
    noise = commands.add_parser(
        "noise",
        help="show how a diffusion turns a picture into noise, as a strip",
        description="The forward process: the picture at some steps of a noise schedule, in pixels and, with --latent, "
        "as latents of the model that the decoder shows.",
    )
    noise.add_argument("picture", type=Path)
    noise.add_argument("--steps", type=whole_numbers, default=(0, 50, 100, 150, 199), help="(0,50,100,150,199)")
    noise.add_argument("--of", type=count, default=200, metavar="STEPS", help="steps of the schedule (default: 200)")
    noise.add_argument(
        "--schedule",
        choices=("linear", "quadratic", "cosine", "sigmoid", "model"),
        default="linear",
        help="how the noise grows; model: as in generate.model, with its own number of steps (default: linear)",
    )
    noise.add_argument("--latent", action="store_true", help="and in the latents of generate.model")
    noise.add_argument("--seed", type=int, default=0)
    noise.add_argument("--out", type=Path, default=Path("noise.png"), help="the PNG to write (default: noise.png)")
    noise.set_defaults(run=_noise)


def _noise(arguments: argparse.Namespace) -> None:
    from diffaug.commands.noise import write_noise
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    given = (arguments.picture, arguments.steps, arguments.of, arguments.schedule, arguments.seed)
    if not arguments.latent:
        write_noise(*given, None, arguments.out)
    else:
        params = load_params()
        with memory_in_words("generate", params):
            write_noise(*given, params.generate, arguments.out)
    print(arguments.out)


def _add_denoise(commands: argparse._SubParsersAction) -> None:
    denoise = commands.add_parser(
        "denoise",
        help="show how a diffusion draws a prompt, step by step",
        description="The reverse process: the model's estimate of the clean image at every step.",
    )
    denoise.add_argument("prompt")
    denoise.add_argument("--n", type=count, default=1, dest="count", help="images with the seeds that follow (1)")
    denoise.add_argument("--seed", type=int, default=0)
    denoise.add_argument("--scheduler", help="one that estimates the clean image: ddim, ddpm, euler, euler_a, ...")
    denoise.add_argument("--steps", type=int, dest="num_inference_steps")
    denoise.add_argument("--guidance", type=float, dest="guidance_scale")
    denoise.add_argument("--model", type=model, help="a folder, a .safetensors file, or OWNER/MODEL@COMMIT")
    denoise.add_argument("--gif", action="store_true", help="and all steps of all images as a GIF, beside the strip")
    denoise.add_argument(
        "--out", type=Path, default=Path("denoise.png"), help="the PNG to write (default: denoise.png)"
    )
    denoise.set_defaults(run=_denoise)


def _denoise(arguments: argparse.Namespace) -> None:
    from diffaug.commands.denoise import denoise
    from diffaug.commands.draw import make_wish
    from diffaug.params import load_params
    from diffaug.runtime.shortage import memory_in_words

    given: dict[str, Any] = vars(arguments)
    keys = ("scheduler", "num_inference_steps", "guidance_scale", "model")
    changes = {key: given[key] for key in keys if given[key] is not None}
    wish = make_wish(arguments.prompt, "", None, count=arguments.count, seed=arguments.seed)
    params, gif = load_params(), arguments.out.with_suffix(".gif") if arguments.gif else None
    with memory_in_words("generate", params):
        print("\n".join(map(str, denoise(params.generate, changes, wish, arguments.out, gif))))


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
