"""The `diffaug` command: reads the command line (parsing/); each command is in the file of its name."""

import argparse
import os
import sys
from importlib.metadata import version

from diffaug.commands.parsing import data, looking, pictures, runs, series
from diffaug.runtime.errors import UserError, in_words, not_utf8
from diffaug.runtime.start import STOPPED, begin, interruptible

_EXAMPLES = """examples:
  diffaug start ~/photos                         look at your images, write presets/own.yaml for them
  diffaug check                                  check params.yaml, and the folders it names
  diffaug fetch --dry                            what params.yaml needs from hubs and sites, with sizes and licences
  diffaug preset quick                           run presets/quick.yaml in a folder of its own
  diffaug use presets/bccd.yaml seeds=[0]        put a preset, and your own values, into params.yaml
  diffaug draw "a photo of a Bag" --n 8 --grid   draw any prompt by hand
  diffaug info picture.png                       the prompt and the settings that a picture carries
  diffaug upscale photo.jpg large.png --factor 4 --model RealESRGAN_x4plus.safetensors
  diffaug sheet strength=0.3,0.6,0.9 guidance_scale=1,3 --mode img2img
  diffaug regenerate s0-img2img-000012           make a single image again
  diffaug export data/merged/0/cls look          write a set as plain files, to look at it
  diffaug export models/det/merged-0 best.pt     write a detector for `yolo predict model=best.pt`
  diffaug convert model.ckpt model.safetensors   make a checkpoint that cannot run code
  diffaug noise photo.jpg --latent               how a diffusion turns a picture into noise
  diffaug denoise "a photo of a Bag" --gif       how it draws one out of noise
  diffaug story story.txt --style "ink, watercolour"   a series in one style, as a folder to publish
  diffaug score drawn                            how sharp, alike and pleasing the pictures of a folder are
  diffaug merge-models a.safetensors b.safetensors --alpha 0.3 --out c.safetensors
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
        arguments.run(arguments)
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
    except Exception as error:
        from diffaug.runtime.shortage import lacks_memory

        if not lacks_memory(error):
            raise
        sys.exit("diffaug: the memory of the GPU, or of this machine, does not suffice; close other programs")
    except KeyboardInterrupt:
        sys.exit(f"diffaug: {STOPPED}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="diffaug",
        description="Commands besides the pipeline.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"diffaug {version('diffaug')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for part in (data, runs, pictures, series, looking):
        part.add(commands)
    return parser


if __name__ == "__main__":
    main()
