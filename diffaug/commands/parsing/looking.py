"""The command line of what shows how pictures come about: info, noise, denoise."""

import argparse
from pathlib import Path

from diffaug.commands.parsing.drawing import changes_of, naming_options
from diffaug.commands.parsing.values import WithExamples, count, model, whole_numbers

_INFO_EXAMPLES = """examples:
  diffaug info picture.png
  diffaug info picture.png --use-in generate.cls.modes.img2img"""

_NOISE_EXAMPLES = """examples:
  diffaug noise photo.jpg --steps 0,50,100,150,199 --of 200
  diffaug noise photo.jpg --schedule cosine --latent"""

_DENOISE_EXAMPLES = """examples:
  diffaug denoise "a photo of a Bag" --n 3
  diffaug denoise "a photo of a Bag" --n 64 --gif --steps 25"""


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_info(commands)
    _add_noise(commands)
    _add_denoise(commands)


def _add_info(commands: argparse._SubParsersAction) -> None:
    info = commands.add_parser(
        "info",
        help="print the prompt and the settings that a picture carries, as WebUI's PNG Info does",
        epilog=_INFO_EXAMPLES,
        formatter_class=WithExamples,
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


def _add_noise(commands: argparse._SubParsersAction) -> None:
    noise = commands.add_parser(
        "noise",
        help="show how a diffusion turns a picture into noise, as a strip",
        description="The forward process: the picture at some steps of a noise schedule, in pixels and, with --latent, "
        "as latents of the model that the decoder shows.",
        epilog=_NOISE_EXAMPLES,
        formatter_class=WithExamples,
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
        epilog=_DENOISE_EXAMPLES,
        formatter_class=WithExamples,
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

    wish = make_wish(arguments.prompt, "", None, count=arguments.count, seed=arguments.seed)
    params, gif = load_params(), arguments.out.with_suffix(".gif") if arguments.gif else None
    with naming_options(arguments), memory_in_words("generate", params):
        print("\n".join(map(str, denoise(params.generate, changes_of(arguments), wish, arguments.out, gif))))
