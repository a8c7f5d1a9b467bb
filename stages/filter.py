"""Score every synthetic image and reject the bad ones: reads data/generated, data/real, the control classifier and the
control detector, writes data/filtered/{cls,det}/ledger.csv.

Alone: python stages/filter.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from diffaug.classifier import load_classifier, predict_logits, to_tensors
from diffaug.detections import Detections
from diffaug.detector.predicting import detect, load_detector
from diffaug.device import choose_device
from diffaug.errors import UserError
from diffaug.params import Params
from diffaug.params.training import Audit, ClsChecks, DetChecks
from diffaug.records import ImageSet, Record, read_set
from diffaug.scoring.boxes import audit, changes, outside, trusted_classes
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
        seed = params.seeds[0]
        teachers = _classify(generated, seed) if isinstance(check, ClsChecks) else _audit(generated, seed, check.audit)
        entries = [judge(replace(scores, **own), check) for scores, own in zip(_scores(generated, task), teachers)]
        write_ledger(Path("data/filtered") / task, entries)
        print(summarise(entries, task))
        _something_left(entries, task)
        count += len(entries)
    return {"images": count}


def _scores(generated: ImageSet, task: str) -> list[Scores]:
    """What can be said of every image without a teacher."""
    real = {split: _hashes(read_set(Path(f"data/real/{task}/{split}"))) for split in ("train", "val", "test")}
    heldout = _join(real["val"], real["test"])
    hashes = _hashes(generated)
    sources = np.array([record.source_id or "" for record in generated])
    scores = []
    for index, record in enumerate(tqdm(generated, desc=f"filter: {task}", unit="image", mininterval=1.0)):
        # A scene is its photograph but for what was drawn anew: so are the others of the same one.
        family = record.source_id if task == "det" else None
        train, held = nearest(hashes.bits[index], real["train"], family), nearest(hashes.bits[index], heldout)
        twin = nearest_earlier(hashes, index, sources) if task == "det" else nearest_earlier(hashes, index)
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
            )
        )
    return scores


def _classify(generated: ImageSet, seed: int) -> list[dict[str, Any]]:
    """The control classifier's probability of every image's intended class."""
    if not len(generated):
        return []
    device = choose_device()
    model, facts = load_classifier(Path(f"models/cls/real-{seed}"), device)
    tensors = to_tensors(generated, facts["image_size"], device)
    probabilities = predict_logits(model, tensors.images).softmax(dim=1)
    of_labels = probabilities.gather(1, tensors.labels[:, None])[:, 0]
    return [{"label_probability": value} for value in of_labels.tolist()]


def _audit(generated: ImageSet, seed: int, checks: Audit | None) -> list[dict[str, Any]]:
    """What is to be said of every scene's boxes, by the control detector where an audit is wanted.

    Raises UserError where a scene differs from its source in pixels that its mode must not touch.
    """
    sources = {record.id: record for record in read_set(Path("data/real/det/train"))}
    starts = [sources[record.source_id or ""] for record in generated]
    scores: list[dict[str, Any]] = []
    for record, source in zip(generated, starts):
        compared = changes(record, source)
        if compared.protected:
            raise UserError(
                f"{record.id}: {compared.protected} pixels that {record.mode} protects differ from {source.id}; this "
                "is a bug of diffaug: please report it with your params.yaml"
            )
        side = min((min(box[2:]) for box in record.bbox), default=-1.0)
        scores.append(
            {
                "changed": compared.share,
                "boxes": len(record.bbox),
                "box_side": side,
                "box_outside": outside(record),
            }
        )
    if checks is None or not len(generated):
        return scores
    used = {source.id: source for source in starts}
    val = read_set(Path("data/real/det/val"))
    found = _detect([*used.values(), *val, *generated], seed)
    trusted = trusted_classes(val.records, [found[record.id] for record in val], len(val.names), checks)
    for record, source, own in zip(generated, starts, scores):
        seen = audit(record, source, found[record.id], found[source.id], checks, trusted)
        new = json.dumps([[round(value, 3) for value in box] for box in seen.new_boxes]) if seen.new_boxes else ""
        own |= {"boxes_judged": seen.judged, "box_iou": seen.iou, "new_object": seen.new, "new_boxes": new}
    judged, boxes = (sum(own[key] for own in scores) for key in ("boxes_judged", "boxes"))
    print(
        f"filter: det: the control detector can judge {judged} of {boxes} boxes, and new objects of "
        f"{len(trusted)} of {len(val.names)} classes"
        + ("; the others pass unseen: train it longer, or look at the sheet" if judged < boxes / 2 else "")
    )
    return scores


def _detect(records: Sequence[Record], seed: int) -> dict[str, Detections]:
    """The control detector's detections by the images' ids."""
    model, facts = load_detector(Path(f"models/det/real-{seed}"))
    found = detect(model, records, facts["image_size"], choose_device())
    return {record.id: one for record, one in zip(records, found)}


def _hashes(images: ImageSet) -> Hashes:
    return hash_all([record.id for record in images], (record.open() for record in images))


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
