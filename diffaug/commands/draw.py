"""`diffaug draw`: any prompt, or a photograph with a prompt, by the same model and sampler as the pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import ValidationError
from tqdm import tqdm

from diffaug.commands.pictures import refuse_file, save_sheet
from diffaug.commands.use import with_values
from diffaug.dataset.codec import canonical, decode, encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.generation.drawing.pnginfo import text_chunks
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.generation.plan.jobs import AS_DRAWN, Job, Settings, batches
from diffaug.generation.plan.prompts import Variant, read_prompts
from diffaug.hub.learned import Learned
from diffaug.params.base import visible
from diffaug.params.generate import GenerateParams
from diffaug.params.messages import problems_of
from diffaug.params.sampling import OneImage, check_steps, checked
from diffaug.pictures.grid import Cell, Section, make_sections
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_DRAWN = "draw-"  # an image's id, before the number that also names its file
_PHOTO = "photo"  # the id of the image that is drawn over
_CELL = 256  # pixels of an image on the grid
_WIDEST = 8192  # pixels of the grid
_OF_AN_IMAGE = ("scheduler", "num_inference_steps", "guidance_scale", "eta", "height", "width")


@dataclass(frozen=True)
class Wish:
    """What to draw: `count` images of each prompt and strength. image: a photograph to draw over; mask: white where it
    is redrawn, the rest keeps its pixels; seed: of the first image, each next one has the next, or the same one; it
    is the same at each strength."""

    prompts: tuple[Variant, ...]
    count: int = 1
    seed: int = 0
    same_noise: bool = False
    image: Path | None = None
    mask: Path | None = None
    strengths: tuple[float, ...] = (0.6,)

    @property
    def mode(self) -> str:
        """txt2img, img2img or inpaint."""
        return "txt2img" if self.image is None else "img2img" if self.mask is None else "inpaint"


def make_wish(prompt: str | None, negative: str, file: Path | None, **chosen: Any) -> Wish:
    """A wish for one prompt, or for those of a file. Raises UserError if something does not fit."""
    if (prompt is None) == (file is None):
        raise UserError('draw: give either a prompt, such as "a photo of a Bag", or --from-file FILE')
    try:
        lines = [Variant(visible(prompt), negative)] if prompt is not None else read_prompts(file or Path(), negative)
        seed = checked(OneImage, {"seed": chosen.get("seed", 0)})["seed"]
        for strength in chosen.get("strengths", ()):
            checked(OneImage, {"strength": strength})
    except ValueError as error:
        raise UserError(f"draw: {error}") from None
    wish = Wish(tuple(lines), **chosen | {"seed": seed})
    if wish.mask is not None and wish.image is None:
        raise UserError("draw: --mask says what of a photograph is redrawn; give the photograph with --image")
    return wish


def hand_params(base: GenerateParams, changes: Mapping[str, Any], wish: Wish) -> GenerateParams:
    """The params of `generate` with what was given on the command line. Raises UserError."""
    inpaint = {"weight": 1, "strength": [0.6], "repaint": "object", "padding": 0, "feather": 4}
    modes = {"inpaint": inpaint} if wish.mode == "inpaint" else {"txt2img": {"weight": 1}}
    raw = base.model_dump(exclude_unset=True)
    raw |= {"cls": {"per_class": 1, "modes": modes}, "det": {"per_real": 0.0, "modes": {}}, "prompts_file": None}
    total = len(wish.prompts) * wish.count
    raw["batch_size"] = min(base.batch_size, total)
    try:
        return GenerateParams.model_validate({**raw, **changes})
    except ValidationError as error:
        raise UserError(f"draw: {problems_of(error, GenerateParams)}") from None


def hand_jobs(
    params: GenerateParams, wish: Wish, photo: Record | None, learned: Learned | None = None, first: int = 0
) -> list[Job]:
    """A job for each image: prompt by prompt, strength by strength; learned: by the model; first: the number of the
    first one. Raises UserError if a strength leaves no step."""
    jobs: list[Job] = []
    for place, variant in enumerate(wish.prompts):
        for strength in wish.strengths if photo is not None else (0.0,):
            settings = _settings(params, wish.mode, variant, strength)
            size = photo.size if photo is not None else _size(settings, learned)
            for turn in range(wish.count):
                # All strengths start from the same noises, so that they can be compared.
                seed = wish.seed + (0 if wish.same_noise else place * wish.count + turn)
                jobs.append(
                    Job(
                        id=f"{_DRAWN}{first + len(jobs):05d}",
                        index=turn,
                        label=0,
                        prompt=variant.prompt,
                        negative_prompt=variant.negative_prompt,
                        seed=seed,
                        size=size,
                        color="RGB",
                        settings=settings,
                        source_id=_PHOTO if photo is not None else None,
                    )
                )
    return jobs


def _size(settings: Settings, learned: Learned | None) -> tuple[int, int]:
    """Without a border that the model draws around pictures that are smaller than its canvas."""
    own = learned.pixels if learned is not None and not (settings.width or settings.height) else None
    return own or AS_DRAWN


def _settings(params: GenerateParams, mode: str, variant: Variant, strength: float) -> Settings:
    own = {key: variant.overrides.get(key) for key in _OF_AN_IMAGE}
    chosen = {key: getattr(params, key) if value is None else value for key, value in own.items()}
    try:
        check_steps(chosen["num_inference_steps"], strength)
    except ValueError as error:
        raise UserError(f"draw: {error}") from None
    return Settings(
        mode=mode,
        scheduler=chosen["scheduler"],
        num_inference_steps=chosen["num_inference_steps"],
        guidance_scale=float(chosen["guidance_scale"]),
        strength=strength,
        eta=-1.0 if chosen["eta"] is None else chosen["eta"],
        width=chosen["width"] or 0,
        height=chosen["height"] or 0,
        negative=bool(variant.negative_prompt),
    )


def read_photo(path: Path) -> Record:
    """A picture, turned upright. Raises UserError if it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror}); give the path of a picture") from None
    return make_record(_PHOTO, canonical(data, str(path)), "train", label=0)


def read_mask(path: Path, photo: Record) -> np.ndarray:
    """bool (H, W), true where the mask is white. Raises UserError if it is not as large as the photograph."""
    try:
        mask = decode(path.read_bytes(), str(path)).convert("L")
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror}); give a picture with --mask") from None
    if mask.size != photo.size:
        raise UserError(
            f"{path}: the mask has {mask.width} x {mask.height} pixels, and the photograph {photo.size[0]} x "
            f"{photo.size[1]}; both must be alike"
        )
    white = np.asarray(mask) > 127
    if not white.any():
        raise UserError(f"{path}: the mask has no white pixel, so nothing would be redrawn; paint white what to redraw")
    return white


def open_for(params: GenerateParams, wish: Wish) -> tuple[Sampler, Record | None]:
    """The open model, and the photograph. Raises UserError if one of them cannot be used."""
    photo = read_photo(wish.image) if wish.image is not None else None
    mask = read_mask(wish.mask, photo) if wish.mask is not None and photo is not None else None
    return open_sampler(params, choose_device(), lambda _: mask), photo


def draw_jobs(
    sampler: Sampler, jobs: Sequence[Job], photo: Record | None, bar: tqdm
) -> Iterator[tuple[Job, Image.Image, bytes]]:
    """Each job with its image and its PNG, which carries the settings; bar: gets on by one for each."""
    sources = {_PHOTO: photo} if photo is not None else {}
    found = sampler.model.found
    for batch in batches(jobs, sampler.batch_size):
        drawn = sampler.draw(batch, sources)
        flags = sampler.flag(drawn)
        for job, image, flag in zip(batch, drawn.images(), flags):
            finished = sampler.views.finish(image, job, photo)
            said = text_chunks(job, image.size, found.label, found.sha256, flag, found.adapters)
            yield job, finished, encode_png(finished, said)
            bar.update()


def say(sampler: Sampler, jobs: Sequence[Job], command: str) -> None:
    """Print what to know about the model and the prompts before they are drawn."""
    for note in (*sampler.model.notes, *sampler.notes(jobs)):
        print(f"{command}: {note.removeprefix('generate.')}")
    if words := unseen_words(sampler, jobs):
        known = ", ".join(sampler.model.found.learned.classes)
        print(f"{command}: note: the model has never read {', '.join(map(repr, words))}; it draws {known}")


def unseen_words(sampler: Sampler, jobs: Sequence[Job]) -> list[str]:
    """Words of the prompts that a generator trained here has never read: its vocabulary is that of its captions. None
    for other models, whose text encoders have read most words."""
    tokenizer = getattr(sampler.model.pipeline, "tokenizer", None)
    if not sampler.model.found.learned.classes or tokenizer is None:
        return []
    words = dict.fromkeys(word for job in jobs for word in job.prompt.split())
    return [word for word in words if any(not token.endswith("</w>") for token in tokenizer.tokenize(word))]


def draw(
    base: GenerateParams, changes: Mapping[str, Any], wish: Wish, out: Path, columns: int | None, use_in: str | None
) -> list[Path]:
    """Draw the wish into a folder, whose files are numbered on; the paths of the PNGs. columns: of a grid of all of
    them, which is the last path; none without it. use_in: a section of params.yaml that gets the settings.

    Raises UserError.
    """
    refuse_file(out)
    params = hand_params(base, changes, wish)
    used = _used(use_in, changes, wish) if use_in is not None else None
    sampler, photo = open_for(params, wish)
    first = _next_number(out)
    jobs = hand_jobs(params, wish, photo, sampler.model.found.learned, first)
    say(sampler, jobs, "draw")
    sampler.check(jobs)
    if photo is not None and max(size := sampler.size(jobs[0].settings)) < max(photo.size):
        print(
            f"draw: note: drawn at {size[0]} x {size[1]} pixels, and enlarged to {photo.size[0]} x {photo.size[1]}; "
            "--width and --height set another size"
        )
    out.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    cells: dict[str, Cell] = {}
    with tqdm(total=len(jobs), desc="draw", unit="image") as bar:
        for job, image, data in draw_jobs(sampler, jobs, photo, bar):
            paths[job.id] = out / f"{job.id.removeprefix(_DRAWN)}.png"
            with atomic_path(paths[job.id]) as temporary:
                temporary.write_bytes(data)
            strength = f", strength {job.settings.strength:g}" if job.settings.strength else ""
            cells[job.id] = Cell(image, f"{job.prompt[:60]}\nseed {job.seed}{strength}")
    written = [paths[job.id] for job in jobs]
    if columns is not None:
        written.append(save_sheet(_grid([cells[job.id] for job in jobs], columns), out / f"grid-{first:05d}.png"))
    if used is not None:
        with atomic_path(Path("params.yaml")) as temporary:
            temporary.write_text(used[0], encoding="utf-8")
        print(f"params.yaml: {len(used[1])} changes: {', '.join(used[1]) or 'it has these values already'}")
    return written


def _next_number(out: Path) -> int:
    numbers = [int(path.stem) for path in out.glob("*.png") if path.stem.isdigit()]
    return max(numbers, default=-1) + 1


def _grid(cells: Sequence[Cell], columns: int) -> Image.Image:
    columns = min(columns, len(cells))
    return make_sections([Section("", cells)], columns, min(_WIDEST, _CELL * columns))


def _used(section: str, changes: Mapping[str, Any], wish: Wish) -> tuple[str, list[str]]:
    """The text of params.yaml with the given settings in a section of it, and the changed keys. Raises UserError if
    there are none, or they do not belong there."""
    chosen: dict[str, Any] = {key: value for key, value in changes.items() if key in _OF_AN_IMAGE}
    if section == "generate":
        chosen |= {key: changes[key] for key in ("model", "loras", "dtype") if key in changes}
    elif wish.mode != "txt2img":
        chosen["strength"] = list(wish.strengths)
    if not chosen:
        raise UserError("draw: --use-in: no setting was given, so there is nothing to use; give --steps, say")
    return with_values({f"{section}.{key}": value for key, value in chosen.items()})
