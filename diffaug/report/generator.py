"""What the report shows of the generator: what it was trained on, its losses, and images that it drew."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from diffaug.dataset.codec import decode
from diffaug.dataset.records import read_set
from diffaug.hub.seen import read_seen
from diffaug.params.base import GENERATOR, LOSSES, REVERSE, ModelName
from diffaug.params.report import ReportParams
from diffaug.params.train_gen import TrainGenParams
from diffaug.report import figures
from diffaug.report.sheet import COLUMNS, captioned, make_sheet, sample, save_png
from diffaug.report.task import PLOTS


@dataclass(frozen=True)
class GeneratorReport:
    """What it was trained on, as a sentence; the losses of its training as SVG, how it draws, step by step, and images
    that it drew from the prompt alone, None if there are none."""

    seen: str
    losses: str | None = None
    reverse: Image.Image | None = None
    samples: Image.Image | None = None


@dataclass(frozen=True)
class Origin:
    """Where the generator comes from: the params of its training, its name, the folder with the hashes of the images
    that it saw, and whether anything is drawn with it."""

    training: TrainGenParams
    model: ModelName
    unseen_by: str | None
    used: bool

    @property
    def folder(self) -> Path:
        """Where the losses of its training are, and how it draws, if they are known."""
        return Path(GENERATOR if self.training.method != "none" else self.model.name).expanduser()


def build_generator_report(params: ReportParams, seed: int, origin: Origin) -> GeneratorReport:
    """What the generator learned and draws, before the filter. Raises UserError if a set or a file is missing."""
    made = read_set(Path("data/generated/cls"))
    drawn = [record for record in made if record.mode == "txt2img"]
    samples = None
    if drawn:
        tiles = captioned(sample(drawn, params.sheet_rows * COLUMNS, seed), made.names)
        samples = make_sheet([(f"drawn from the prompt alone, before the filter ({len(drawn)})", tiles)])
        save_png(samples, PLOTS / "generator_samples.png")
    table, strip = origin.folder / LOSSES, origin.folder / REVERSE
    losses = figures.losses(table) if table.exists() else None
    reverse = decode(strip.read_bytes(), str(strip)) if strip.exists() else None
    return GeneratorReport(what_it_saw(origin), losses, reverse, samples)


def what_it_saw(origin: Origin) -> str:
    """On which images the generator was trained, as far as its files say it."""
    if not origin.used:
        return "Nothing is drawn in this run: it needs no generator."
    sets = " and ".join(f"data/{name}" for name in origin.training.sets)
    if origin.training.method == "scratch":
        count = len(read_seen(GENERATOR).trained)
        return f"It was trained here from random weights, on {count:,} images of {sets}; none is in val or test."
    own = ", which were not compared with val and test" if origin.training.own is not None else ""
    further = origin.training.tuned
    how = "taught a word" if origin.training.method == "textual_inversion" else "fine-tuned"
    tuned = f" It was {how} here on images of {sets}{own}." if further else ""
    base = further.model.label if further else origin.model.label
    if origin.unseen_by is None:
        return f"{base} does not say on which images it was trained; images of val and test may be among them.{tuned}"
    count = len(read_seen(origin.unseen_by).trained)
    return f"{origin.unseen_by} was trained on {count:,} images, of which none is in val or test.{tuned}"
