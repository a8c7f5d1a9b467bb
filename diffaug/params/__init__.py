"""params.yaml as frozen models. An unknown key, a wrong type or a value out of range gives a one-line error at once.

An optional key that is left out means off or not given. No other field has a default: every setting is in params.yaml,
so this package alone never changes the output of a stage.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from diffaug.params.base import GENERATOR, SEEN, Positive, Section, Seed, is_local
from diffaug.params.download import DownloadParams, FewShot
from diffaug.params.evaluate import EvaluateParams
from diffaug.params.filter import FilterParams
from diffaug.params.generate import GenerateParams
from diffaug.params.merge import DRAWN, MergeParams
from diffaug.params.messages import one_line
from diffaug.params.report import ReportParams
from diffaug.params.train_cls import TrainClsParams
from diffaug.params.train_det import TrainDetParams
from diffaug.params.train_gen import TrainGenParams
from diffaug.runtime.errors import UserError
from diffaug.runtime.yaml_files import read_yaml

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Params(Section):
    seeds: Annotated[list[Seed], Field(min_length=1)]
    draws: Literal["own", "shared"]
    jobs: Positive | None
    download: DownloadParams
    train_gen: TrainGenParams
    generate: GenerateParams
    filter: FilterParams
    merge: MergeParams
    train_cls: TrainClsParams
    train_det: TrainDetParams
    evaluate: EvaluateParams
    report: ReportParams
    study: dict[Name, list[str] | None]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {self.seeds} has a seed twice; each seed trains one model, so name each once")
        self._generator_is_used()
        self._generator_does_not_know_the_test()
        self._generator_can_learn()
        self._enough_is_made()
        return self

    @property
    def image_draws(self) -> tuple[int | None, ...]:
        """The draws of synthetic images: the seeds, or one for all of them, None."""
        return tuple(self.seeds) if self.draws == "own" else (None,)

    def _generator_is_used(self) -> None:
        method, model = self.train_gen.method, self.generate.model.name
        used = [model, *(adapter.path for adapter in self.generate.loras)]
        if method == "none" and GENERATOR in used and self._draws():
            raise ValueError(
                f"generate.model.name is {GENERATOR!r}, which train_gen.method 'none' does not make; name a model "
                "of the hub or of your disk, or set train_gen.method to 'scratch', 'lora' or 'textual_inversion'"
            )
        if method != "none" and GENERATOR not in used:
            raise ValueError(
                f"train_gen.method {method!r} trains {GENERATOR!r}, but generate.model.name is {model!r}; set "
                "train_gen.method to 'none', or generate.model.name to what is trained"
            )
        word = self.train_gen.textual_inversion.token
        if method == "textual_inversion" and not self._says(word):
            raise ValueError(
                f"no prompt of generate has {word}, the word that train_gen teaches; write it into generate.prompt"
            )

    def _says(self, word: str) -> bool:
        """Whether a prompt has the word; those of a file are not read here."""
        return self.generate.prompts_file is not None or word in str(self.generate.model_dump(exclude={"embeddings"}))

    def _generator_does_not_know_the_test(self) -> None:
        """A model that states its training images is not used where they can be in val or test. Beside a generator that
        is trained here, which sees neither, `unseen_by` does no harm: the splits stay those of another run."""
        unseen, models = self.download.unseen_by, {self.generate.model.name}
        if self.train_gen.tuned is not None:
            models.add(self.train_gen.tuned.model.name)
        if unseen is not None and unseen not in models and self.train_gen.method != "scratch":
            raise ValueError(f"download.unseen_by is {unseen!r}, but the generator is another model; set it to null")
        for name in models:
            if is_local(name) and (Path(name).expanduser() / SEEN).exists() and unseen != name:
                raise ValueError(
                    f"{name} was trained on images that {SEEN} in it names; set download.unseen_by to {name!r}, so "
                    "that none of them is in val or test"
                )

    def _draws(self) -> bool:
        return self.generate.draws(self.download.cls is not None, self.download.det is not None)

    def _generator_can_learn(self) -> None:
        cls, images = self.download.cls, self.train_gen.images
        if self.train_gen.method == "none":
            return
        for task in ("cls", "det"):
            if f"real/{task}/train" in self.train_gen.sets and getattr(self.download, task) is None:
                raise ValueError(f"train_gen.images is {images!r}, but download.{task} has no source (null)")
        if images == "pool" and not (isinstance(cls, FewShot) and cls.pool):
            raise ValueError(
                "train_gen.images is 'pool', but download.cls has no pool (only fashion_mnist and "
                "torchvision with pool above 0 have one); set train_gen.images to 'real/cls/train' or 'real/det/train'"
            )
        guided = self.generate.guidance_scale > 1
        if guided and self.train_gen.method == "scratch" and self.train_gen.scratch.unet.caption_dropout == 0:
            raise ValueError(
                f"generate.guidance_scale {self.generate.guidance_scale:g} above 1 needs "
                "train_gen.scratch.unet.caption_dropout above 0 (such as 0.1): guidance compares with an empty caption"
            )

    def _enough_is_made(self) -> None:
        cls, ratio, per_class = self.download.cls, self.merge.ratio, self.generate.cls.per_class
        if self.merge.recipe not in DRAWN or ratio is None or self.merge.on_shortage == "lower":
            return
        if self.download.det is not None and ratio > self.generate.det.per_real:
            raise ValueError(
                f"merge.ratio {ratio:g} needs at least as many scenes: raise generate.det.per_real, "
                f"now {self.generate.det.per_real:g}"
            )
        if isinstance(cls, FewShot) and isinstance(per_class, int) and ratio * cls.train_per_class > per_class:
            raise ValueError(
                f"merge.ratio {ratio:g} x train_per_class {cls.train_per_class} needs more than the {per_class} images "
                "per class of generate.cls.per_class: raise it or lower the ratio"
            )


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check the parameters. Raises UserError: one line with the key, the value found and what is allowed."""
    try:
        raw = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run from the repository's root") from None
    return check_params(raw, str(path))


def check_params(content: Any, name: str) -> Params:
    """The parameters of what a YAML file holds; name: of the file. Raises UserError as `load_params`."""
    if not isinstance(content, dict):
        raise UserError(f"{name}: expected sections such as 'download:', found {type(content).__name__}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(one_line(name, error, Params)) from None
