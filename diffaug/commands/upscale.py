"""`diffaug upscale`: a picture, or a folder of them, two or four times as large, as WebUI's Extras does it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter
from tqdm import tqdm

from diffaug.enlarging.pictures import OWN_KEY, Picture, read_picture, text_of, write_picture
from diffaug.enlarging.tiles import Upscaler, count, enlarge
from diffaug.params.sampling import OneImage, checked
from diffaug.runtime.errors import UserError
from diffaug.runtime.shortage import lacks_memory
from diffaug.sources.image_files import SUFFIXES

METHODS = {"lanczos": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}
_SAFE, _PICKLED = ".safetensors", (".pth", ".pt", ".ckpt")
_MOST_PIXELS = 64_000_000  # of a result: what `diffaug` reads again
_MOST_DRAWN = 256_000_000  # of what a network makes, before it is brought to the factor
_RADIUS = 2  # pixels of the unsharp mask


@dataclass(frozen=True)
class Wish:
    """How to enlarge. method: of Pillow, without a model; model: a file, a folder or a hub id; tile: a side in pixels,
    0 for none, None for what suits the model; sharpen: percent; prompt, steps, seed: of an upscaler of diffusers."""

    factor: int = 2
    method: str = "lanczos"
    model: str | None = None
    revision: str | None = None
    hub: str | None = None
    allow_pickle: bool = False
    tile: int | None = None
    sharpen: int = 0
    prompt: str = ""
    steps: int | None = None
    seed: int = 0


def upscale(source: Path, out: Path, wish: Wish) -> str:
    """Enlarge a picture, or all of a folder, into PNGs; returns what to know, line by line.

    A PNG that is there already is kept if it was made in the same way of the same picture. A picture of a folder that
    cannot be enlarged does not stop the others. Raises UserError, at the end, if there was one.
    """
    try:
        checked(OneImage, {"seed": wish.seed})
    except ValueError as error:
        raise UserError(f"upscale: {error}") from None
    pairs = plan(source, out)
    if len(pairs) == 1:  # before a model is fetched; one bad picture of a folder does not stop the others
        _refuse_target(*pairs[0])
    upscaler = _open(wish)
    failed: list[str] = []
    made = kept = 0
    for picture, target in tqdm(pairs, desc="upscale", unit="picture", disable=len(pairs) == 1):
        try:
            new = _enlarge_file(picture, target, upscaler, wish)
        except UserError as error:
            failed.append(str(error))
        else:
            made, kept = made + new, kept + (not new)
    if failed and len(pairs) == 1:
        raise UserError(failed[0])
    lines = [f"{out}: {made} made, {wish.factor} times as large, by {upscaler.name if upscaler else wish.method}"]
    if upscaler is not None and upscaler.scale != wish.factor:
        lines.append(f"{upscaler.name} enlarges {upscaler.scale} times; Lanczos brings the result to {wish.factor}")
    if kept:
        lines.append(f"{kept} there already, made in the same way")
    if failed:
        print("\n".join([*lines, *failed[1:]]))
        raise UserError(f"{len(failed)} of {len(pairs)} pictures are left out: {failed[0]}")
    return "\n".join(lines)


def plan(source: Path, out: Path) -> list[tuple[Path, Path]]:
    """The pictures, each with the PNG to write. Raises UserError if there are none, or something is in the way."""
    if source.is_file():
        if out.suffix.lower() != ".png":
            raise UserError(f"{out}: must end with .png, since {source} is a picture")
        return [(source, out)]
    if not source.is_dir():
        raise UserError(f"{source}: does not exist; give a picture, or a folder of pictures")
    if out.is_file() or out.suffix.lower() in SUFFIXES:
        raise UserError(f"{out}: must be a folder, since {source} is one")
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{out}: lies in {source}, whose pictures are enlarged; choose another folder")
    found = [
        path.relative_to(source)
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not found:
        raise UserError(f"{source}: has no pictures ({', '.join(sorted(SUFFIXES))})")
    targets: dict[Path, Path] = {}
    for one in found:
        first = targets.setdefault(out / one.with_suffix(".png"), one)
        if first != one:
            raise UserError(f"{source}: {first} and {one} would both become {one.with_suffix('.png')}; rename one")
    return [(source / one, target) for target, one in targets.items()]


def _open(wish: Wish) -> Upscaler | None:
    """The upscaler of the wish, None for Pillow. Raises UserError if it cannot be opened."""
    if wish.model is None:
        return None
    path = Path(wish.model)
    if path.suffix in (_SAFE, *_PICKLED):
        _refuse_file(path, wish)
        from diffaug.enlarging.networks import open_network
        from diffaug.runtime.device import choose_device

        with _memory_in_words(wish.model):
            return open_network(path, choose_device())
    from diffaug.enlarging.pipelines import Drawing, model_name, open_upscaler
    from diffaug.runtime.device import choose_device

    name = model_name(wish.model, wish.revision, wish.hub)
    with _memory_in_words(wish.model):
        return open_upscaler(name, Drawing(wish.prompt, wish.steps, wish.seed), choose_device())


def _refuse_file(path: Path, wish: Wish) -> None:
    """Raises UserError if there is no such file, it is pickled and may not be, or it has no use for what was given."""
    if wish.prompt or wish.steps is not None or wish.seed:
        raise UserError("upscale: --prompt, --steps and --seed are for upscalers of diffusers; leave them out")
    if not path.is_file():
        raise UserError(f"{path}: is not a file; give a network of super-resolution with --model")
    if path.suffix != _SAFE and not wish.allow_pickle:
        from diffaug.hub.pickled import convert_file

        raise UserError(
            f"{path}: is pickled, and opening such a file can run any code; {convert_file(path)}, or add "
            "--allow-pickle, which reads its tensors and nothing else"
        )


def _refuse_target(path: Path, target: Path) -> None:
    """Raises UserError if the picture cannot be read, or the target was not made of it."""
    sha256 = read_picture(path).sha256
    said = json.loads(text_of(target).get(OWN_KEY, "{}")) if target.exists() else {"source_sha256": sha256}
    if not isinstance(said, dict) or said.get("source_sha256") != sha256:
        raise _in_the_way(target)


def _in_the_way(target: Path) -> UserError:
    return UserError(f"{target}: exists already, made of another picture or in another way; remove it, or rename it")


def _enlarge_file(path: Path, target: Path, upscaler: Upscaler | None, wish: Wish) -> bool:
    """Write the enlarged picture; false if it is there already. Raises UserError."""
    source = read_picture(path)
    said = json.dumps(_said(source, upscaler, wish), sort_keys=True, ensure_ascii=False)
    if target.exists():
        if text_of(target).get(OWN_KEY) == said:
            return False
        raise _in_the_way(target)
    width, height = (side * wish.factor for side in source.colour.size)
    if width * height > _MOST_PIXELS:
        raise UserError(
            f"{path}: would have {width} x {height} pixels; at most {_MOST_PIXELS // 10**6} million are written; lower "
            "--factor, or reduce the picture"
        )
    with _memory_in_words(str(path)):
        large = source.colour if upscaler is None else _drawn(path, source.colour, upscaler, wish.tile)
        if large.size != (width, height):
            large = large.resize((width, height), METHODS[wish.method])
        if wish.sharpen:
            large = large.filter(ImageFilter.UnsharpMask(_RADIUS, wish.sharpen, threshold=0))
        write_picture(large, source, METHODS[wish.method], {OWN_KEY: said}, target)
    return True


def _drawn(path: Path, colour: Image.Image, upscaler: Upscaler, tile: int | None) -> Image.Image:
    """The picture by the upscaler, in its own scale; grey stays grey."""
    width, height = (side * upscaler.scale for side in colour.size)
    if width * height > _MOST_DRAWN:
        raise UserError(
            f"{path}: {upscaler.name} would make {width} x {height} pixels of it; at most {_MOST_DRAWN // 10**6} "
            "million fit; reduce the picture, or take a model with a smaller scale"
        )
    side = upscaler.tile if tile is None else tile
    tiles = count(colour.size, upscaler, side)
    with tqdm(total=tiles, desc=path.name, unit="tile", leave=False, disable=tiles == 1) as bar:
        return enlarge(colour.convert("RGB"), upscaler, side, bar.update).convert(colour.mode)


def _said(source: Picture, upscaler: Upscaler | None, wish: Wish) -> dict[str, Any]:
    """What was done, for the PNG: all that can change a pixel."""
    said: dict[str, Any] = {"factor": wish.factor, "sharpen": wish.sharpen, "source_sha256": source.sha256}
    if upscaler is None:
        return said | {"method": wish.method}
    said |= {"model": upscaler.name, "model_sha256": upscaler.sha256, "scale": upscaler.scale}
    said |= {"tile": upscaler.tile if wish.tile is None else wish.tile}
    drawn = {"prompt": wish.prompt, "steps": wish.steps, "seed": wish.seed}
    return said | (drawn if upscaler.draws else {})


@contextmanager
def _memory_in_words(what: str) -> Iterator[None]:
    """Raises UserError in place of a lack of memory."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not lacks_memory(error):
            raise
        raise UserError(
            f"{what}: the memory of the GPU, or of this machine, does not suffice; set a smaller --tile, such as 128"
        ) from None
