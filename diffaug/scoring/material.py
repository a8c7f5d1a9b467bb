"""What the scores of a task read: its synthetic and real images, and the control's models, opened when first used."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from diffaug.dataset.records import SPLITS, ImageSet, Record, read_set
from diffaug.params.filter import Against
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import file_sha256

Columns = dict[str, list[Any]]  # by name, one value per image
_SAMPLE = 1000


class Material:
    """One task's real images, one draw of its synthetic ones, and its models. `task`: cls or det; `seed`: of the
    control model that is used; `against`: what is held out; `title`: of progress bars."""

    def __init__(
        self,
        task: str,
        seed: int,
        against: Against,
        real: Mapping[str, ImageSet],
        generated: ImageSet,
        title: str | None = None,
    ) -> None:
        self.task, self.against, self.real, self.generated = task, against, real, generated
        self.title = title or f"filter: {task}"
        self.control = Path(f"models/{task}/real-{seed}")

    @classmethod
    def of_draws(cls, task: str, seed: int, against: Against = "val_and_test") -> "dict[int | None, Material]":
        """By draw, the seed's own first. Images of one draw are not compared with those of another: each is a training
        set of its own."""
        made = read_set(Path(f"data/generated/{task}"))
        real = {split: read_set(Path(f"data/real/{task}/{split}")) for split in SPLITS}
        draws: dict[int | None, list[Record]] = {record.draw: [] for record in made} or {None: []}
        for record in made:
            draws[record.draw].append(record)
        return {
            draw: cls(task, seed, against, real, ImageSet(made.names, tuple(records)))
            for draw, records in sorted(draws.items(), key=lambda item: (item[0] != seed, item[0] or 0))
        }

    @property
    def heldout(self) -> list[Record]:
        """Real val and test images (or val alone), which no synthetic image may copy."""
        splits = ("val",) if self.against == "val" else ("val", "test")
        return [record for split in splits for record in self.real[split]]

    @property
    def train_sample(self) -> list[Record]:
        """Real train images, 1000 at most, evenly taken."""
        train = self.real["train"].records
        return list(train[:: max(1, len(train) // _SAMPLE)][:_SAMPLE])

    @property
    def names(self) -> tuple[str, ...]:
        """The real classes."""
        return self.real["train"].names

    @cached_property
    def device(self) -> torch.device:
        return choose_device()

    @cached_property
    def sources(self) -> list[Record]:
        """The photograph that each synthetic image is made from. Raises UserError if it is not in train."""
        photographs = {record.id: record for record in self.real["train"]}
        for record in self.generated:
            if record.source_id not in photographs:
                raise UserError(
                    f"data/generated/{self.task}: {record.id} is made from {record.source_id}, which is not a real "
                    "train image; run `dvc repro generate`"
                )
        return [photographs[record.source_id or ""] for record in self.generated]

    @cached_property
    def key(self) -> str:
        """A hash of everything that a score may read: images, labels, boxes, the control's weights."""
        rows = [
            {name: value for name, value in asdict(record).items() if name != "image"}
            for records in (self.generated, *self.real.values())
            for record in records
        ]
        weights = [file_sha256(path) for path in sorted(self.control.glob("model.*"))]
        return hashlib.sha256(json.dumps([self.names, self.against, rows, weights]).encode()).hexdigest()

    def progress(self, score: str, records: Sequence[Record] | None = None) -> Iterator[Record]:
        """The synthetic images (or `records`) one after another, with a progress bar."""
        chosen: Sequence[Record] = self.generated.records if records is None else records
        label = f"{self.title}: {score}"
        yield from tqdm(chosen, desc=label, unit="image", mininterval=1.0, leave=False, disable=not chosen)


def select(images: ImageSet, ids: Iterable[str]) -> list[Record]:
    """The records with these ids."""
    wanted = set(ids)
    return [record for record in images if record.id in wanted]
