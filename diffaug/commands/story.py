"""`diffaug story`: a series of pictures in one style, as a folder that can be handed in or published."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from tqdm import tqdm

from diffaug.commands.draw import Wish, draw_jobs, hand_jobs, hand_params, read_photo, say
from diffaug.commands.pictures import save_sheet
from diffaug.commands.score import Networks, Scores, check_networks, least_of, score_records
from diffaug.commands.story_card import Addition, additions_of, story_card
from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.generation.drawing.sampler import Sampler, open_sampler
from diffaug.generation.plan.prompts import Variant, read_prompts
from diffaug.params.generate import GenerateParams
from diffaug.params.sampling import OneImage, checked
from diffaug.pictures.grid import Cell, Section, make_sections
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

PICTURES = 8
Coherence = Literal["noise", "previous", "none"]
_COLUMNS, _CELL = 4, 256


@dataclass(frozen=True)
class Story:
    """What is drawn: a picture of each prompt, to which the style is appended.

    coherence: noise: all start from the same noise; previous: each is drawn over the one before by img2img with this
    strength; none: each has a noise of its own. seed: of the first picture.
    """

    prompts: tuple[Variant, ...]
    style: str = ""
    coherence: Coherence = "noise"
    strength: float = 0.75
    seed: int = 0

    def wish(self, number: int, previous: Path | None) -> Wish:
        """What `draw` would be asked for one picture; previous: the one before."""
        one = self.prompts[number]
        prompt = f"{one.prompt}, {self.style}" if self.style else one.prompt
        seed = self.seed + (number if self.coherence == "none" else 0)
        over = previous if self.coherence == "previous" else None
        return Wish((replace(one, prompt=prompt),), seed=seed, image=over, strengths=(self.strength,))


def read_story(path: Path, negative: str, count: int | None, **chosen: Any) -> Story:
    """The first `count` lines of a file of prompts; without a count, the first 8, or all if there are fewer. Raises
    UserError if it has none, or fewer than the count."""
    try:
        checked(OneImage, {"seed": chosen.get("seed", 0)})
        prompts = read_prompts(path, negative)
    except ValueError as error:
        raise UserError(f"story: {error}") from None
    if count is not None and len(prompts) < count:
        raise UserError(f"{path}: has {len(prompts)} prompts, and --n asks for {count}; write one a line")
    if count is None and len(prompts) > PICTURES:
        print(f"story: {path}: the first {PICTURES} of {len(prompts)} prompts; --n {len(prompts)} draws all")
    return Story(tuple(prompts[: count or PICTURES]), **chosen)


def story(
    base: GenerateParams, changes: Mapping[str, Any], wished: Story, networks: Networks, out: Path
) -> tuple[Scores, list[str]]:
    """Draw the series into a new folder: the pictures, a sheet, the prompts, the scores, the LoRAs and a model card.

    Pictures that are drawn stay if it is stopped. Returns the scores, and what to say. Raises UserError.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: exists, and a story is written into a new folder; give another --out, or remove it")
    check_networks(networks)
    params = hand_params(base, {**changes, "batch_size": 1}, wished.wish(0, None))
    sampler = open_sampler(params, choose_device())
    _check(sampler, params, wished)
    found = sampler.model.found
    records = _draw(sampler, params, wished, out)
    prompts = [wished.wish(number, None).prompts[0].prompt for number in range(len(records))]
    scores = Scores(tuple(score_records(records, networks, prompts)), least_of(networks))
    additions = additions_of(found)
    _write(out, wished, additions, scores, records)
    card = story_card(out.resolve().name, wished.style, found, additions, prompts, scores)
    (out / "README.md").write_text(card, encoding="utf-8")
    said = [] if scores.verdict else ["no aesthetic score: name a predictor with --aesthetic"]
    return scores, [*said, f"{out}: {len(records)} pictures; README.md says how to publish them"]


def _check(sampler: Sampler, params: GenerateParams, wished: Story) -> None:
    """Raises UserError, before any work, if a picture cannot be drawn; prints what to know."""
    numbers = range(len(wished.prompts))
    learned = sampler.model.found.learned
    jobs = [hand_jobs(params, wished.wish(number, None), None, learned, number)[0] for number in numbers]
    say(sampler, jobs, "story")
    sampler.check(jobs)
    if wished.coherence == "previous":
        blank = make_record("blank", encode_png(Image.new("RGB", sampler.size(jobs[0].settings))), "train")
        wishes = [wished.wish(number, Path()) for number in numbers[1:]]
        sampler.check([hand_jobs(params, wish, blank, learned)[0] for wish in wishes])


def _draw(sampler: Sampler, params: GenerateParams, wished: Story, folder: Path) -> list[Record]:
    """Write the pictures below the folder, and return them as records whose ids are their paths in it."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    records: list[Record] = []
    previous: Path | None = None
    with tqdm(total=len(wished.prompts), desc="story", unit="image") as bar:
        for number in range(len(wished.prompts)):
            wish = wished.wish(number, previous)
            photo = read_photo(wish.image) if wish.image is not None else None
            jobs = hand_jobs(params, wish, photo, sampler.model.found.learned, number + 1)
            ((_, _, data),) = draw_jobs(sampler, jobs, photo, bar)
            previous = folder / "images" / f"{number + 1:02d}.png"
            with atomic_path(previous) as file:
                file.write_bytes(data)
            records.append(make_record(previous.relative_to(folder).as_posix(), data, "train", label=0))
    return records


def _write(
    folder: Path, wished: Story, additions: Sequence[Addition], scores: Scores, records: Sequence[Record]
) -> None:
    lines = [f"# style: {wished.style}"] if wished.style else []
    text = "\n".join([*lines, *(one.prompt for one in wished.prompts)])
    (folder / "prompts.txt").write_text(f"{text}\n", encoding="utf-8")
    scores.write(folder / "scores.csv")
    cells = []
    for one, record, row in zip(wished.prompts, records, scores.rows):
        judged = f"aesthetic {row['aesthetic']:.2f}" if "aesthetic" in row else ""
        cells.append(Cell(record.open(), f"{one.prompt}\n{judged}"))
    columns = min(_COLUMNS, len(cells))
    title = " - ".join(filter(None, [wished.style, scores.verdict]))
    save_sheet(make_sections([Section(title, cells)], columns, _CELL * columns), folder / "story.png")
    for added in additions:
        shutil.copy(added.file, folder / added.name)
