"""Score every synthetic image and reject the bad ones: reads data/generated, data/real and the control classifier,
writes data/filtered/{cls,det}/ledger.csv.

Alone: python stages/filter.py
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from diffaug.classifier import load_classifier, predict_logits, to_tensors
from diffaug.device import choose_device
from diffaug.errors import UserError
from diffaug.params import Params
from diffaug.params.training import ClsChecks, DetChecks
from diffaug.records import ImageSet, Record, read_set
from diffaug.scoring.degenerate import gray_std
from diffaug.scoring.duplicates import Hashes, hash_all, nearest, nearest_earlier
from diffaug.scoring.policy import Entry, Scores, judge, summarise, write_ledger
from diffaug.stage import run_stage


def filter_images(params: Params, work: Path) -> Mapping[str, float]:
    """A ledger row for every image of both tasks. Raises UserError where nothing at all is left of a task."""
    count = 0
    checks: dict[str, ClsChecks | DetChecks] = {"cls": params.filter.cls, "det": params.filter.det}
    for task, check in checks.items():
        generated = read_set(Path(f"data/generated/{task}"))
        probabilities = _agreement(generated, Path(f"models/cls/real-{params.seeds[0]}")) if task == "cls" else None
        entries = [judge(scores, check) for scores in _scores(generated, task, probabilities)]
        write_ledger(Path("data/filtered") / task, entries)
        print(summarise(entries, task))
        _something_left(entries, task)
        count += len(entries)
    return {"images": count}


def _scores(generated: ImageSet, task: str, probabilities: list[float] | None) -> list[Scores]:
    real = {split: _hashes(read_set(Path(f"data/real/{task}/{split}"))) for split in ("train", "val", "test")}
    heldout = _join(real["val"], real["test"])
    hashes = _hashes(generated)
    scores = []
    for index, record in enumerate(tqdm(generated, desc=f"filter: {task}", unit="image", mininterval=1.0)):
        train, held = nearest(hashes.bits[index], real["train"]), nearest(hashes.bits[index], heldout)
        twin = nearest_earlier(hashes, index)
        scores.append(
            Scores(
                id=record.id,
                label=_label(record, generated.names),
                std=gray_std(record.open()),
                distance_train=train[0],
                nearest_train=train[1],
                distance_heldout=held[0],
                nearest_heldout=held[1],
                distance_generated=twin[0],
                nearest_generated=twin[1],
                label_probability=probabilities[index] if probabilities else -1.0,
                box_side=min((min(box[2:]) for box in record.bbox), default=-1.0),
            )
        )
    return scores


def _agreement(generated: ImageSet, teacher: Path) -> list[float]:
    """The control classifier's probability of every image's intended class."""
    if not len(generated):
        return []
    device = choose_device()
    model, facts = load_classifier(teacher, device)
    tensors = to_tensors(generated, facts["image_size"], device)
    probabilities = predict_logits(model, tensors.images).softmax(dim=1)
    return probabilities.gather(1, tensors.labels[:, None])[:, 0].tolist()


def _hashes(images: ImageSet) -> Hashes:
    return hash_all([record.id for record in images], [record.open() for record in images])


def _join(first: Hashes, second: Hashes) -> Hashes:
    return Hashes(first.ids + second.ids, np.concatenate([first.bits, second.bits]))


def _label(record: Record, names: tuple[str, ...]) -> str:
    categories = record.category if record.label is None else (record.label,)
    return ", ".join(names[category] for category in categories)


def _something_left(entries: list[Entry], task: str) -> None:
    if entries and not any(entry.accepted for entry in entries):
        raise UserError(
            f"{task}: all {len(entries)} synthetic images were rejected ({summarise(entries, task)}); the ledger in "
            f"data/filtered/{task} says why: lower the thresholds of filter.{task}, or improve train_gen or generate"
        )


if __name__ == "__main__":
    run_stage("filter", filter_images)
