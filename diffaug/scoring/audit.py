"""The audit of generated scenes: are the boxes still right, in the eyes of the control detector?"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from diffaug.dataset.records import Record
from diffaug.detector.detections import Detections
from diffaug.detector.predicting import detect, load_detector
from diffaug.params.filter import Audit
from diffaug.pictures.cutout import Box
from diffaug.scoring.material import Columns, Material

_SAME_PLACE = 0.5  # IoU from which two detections are of one object
_EXPLAINED = 0.3  # IoU of a detection with a label that it may belong to
_FEW = 5  # objects of a class in val, below which its recall is not known
_INSIDE = 0.7  # or the share of it that lies in the box of a label of its class: a part of the object


MEASURED_BY = ("sure", "found", "min_iou", "min_recall")


def measure(material: Material, params: Audit) -> Columns:
    """boxes_judged, box_iou, new_object and new_boxes (JSON) of every scene, see `BoxAudit`."""
    columns: Columns = {"boxes_judged": [], "box_iou": [], "new_object": [], "new_boxes": []}
    if not len(material.generated):
        return columns
    val, sources = material.real["val"], {source.id: source for source in material.sources}
    records = [*sources.values(), *val, *material.generated]
    model, facts = load_detector(material.control)
    found = dict(zip([record.id for record in records], detect(model, records, facts["image_size"], material.device)))
    trusted = trusted_classes(val.records, [found[record.id] for record in val], len(val.names), params)
    for record, source in zip(material.generated, material.sources):
        seen = audit(record, source, found[record.id], found[source.id], params, trusted)
        columns["boxes_judged"].append(seen.judged)
        columns["box_iou"].append(seen.iou)
        columns["new_object"].append(seen.new)
        new = [[round(value, 3) for value in box] for box in seen.new_boxes]
        columns["new_boxes"].append(json.dumps(new) if new else "")
    judged, boxes = sum(columns["boxes_judged"]), sum(len(record.bbox) for record in material.generated)
    print(
        f"filter: det: the control detector can judge {judged} of {boxes} boxes, and new ones of "
        f"{len(trusted)} of {len(val.names)} classes"
        + ("; the others pass unseen: train it longer, or look at the sheet" if judged < boxes / 2 else "")
    )
    return columns


def failures(row: Mapping[str, Any], params: Audit) -> Iterator[tuple[str, bool]]:
    """What the scene fails, by its row of the ledger."""
    yield "object not found", row["box_iou"] < params.min_iou
    yield "new object", params.new_objects == "reject" and row["new_object"] >= params.sure


@dataclass(frozen=True)
class BoxAudit:
    """What the detector says of a scene.

    judged: how many boxes it can judge; iou: the worst of their IoUs with the detections found for them, 1 where none
    is judged; new: the highest confidence of a detection that no label and no object of the source explains, 0 without
    one; new_boxes: (x, y, width, height, confidence) of those that are sure.
    """

    judged: int
    iou: float
    new: float
    new_boxes: tuple[tuple[float, ...], ...]


def trusted_classes(
    records: Sequence[Record], found: Sequence[Detections], classes: int, params: Audit
) -> frozenset[int]:
    """The classes of which the detector finds at least the share `min_recall` of the objects in real val images, five
    of which there must be."""
    hits, objects = np.zeros(classes), np.zeros(classes)
    for record, detections in zip(records, found):
        for category, iou in zip(record.category, _matches(record, _standing(detections, params.found))):
            objects[category] += 1
            hits[category] += iou >= params.min_iou
    return frozenset(np.flatnonzero((objects >= _FEW) & (hits >= params.min_recall * objects)).tolist())


def audit(
    scene: Record,
    source: Record,
    found: Detections,
    found_in_source: Detections,
    params: Audit,
    trusted: Collection[int],
) -> BoxAudit:
    """Look for every box of the generated scene, and for objects without one.

    A box that the source has too is judged only where the detector is sure of it there: what it misses on the
    photograph it may miss here. A box that is new, or of another class than in the source, is judged only where its
    class is `trusted` (a detector that misses real objects of a class says nothing by missing a drawn one), or where it
    is sure of another class in its place. What it sees in the source without a label is not held against the scene
    either.
    """
    again, before = (_standing(one, params.found) for one in (found, found_in_source))
    sure = dict(zip(zip(source.bbox, source.category), _matches(source, _standing(found_in_source, params.sure))))
    ious = [
        iou
        for label, iou in zip(zip(scene.bbox, scene.category), _matches(scene, again))
        if (sure[label] >= params.min_iou if label in sure else label[1] in trusted or _renamed(label, found, params))
    ]
    new = [
        (*_xywh(corners), float(score))
        for corners, score, category in zip(again.boxes, again.scores, again.labels)
        if not _explained(_xywh(corners), int(category), scene, before.boxes)
    ]
    highest = max((one[4] for one in new), default=0.0)
    return BoxAudit(len(ious), min(ious, default=1.0), highest, tuple(one for one in new if one[4] >= params.sure))


def _standing(found: Detections, confidence: float) -> Detections:
    """The detections of at least this confidence that no surer one of another class contradicts in their place."""
    kept = [
        number
        for number, (corners, score, category) in enumerate(zip(found.boxes, found.scores, found.labels))
        if score >= confidence
        and not (
            (found.labels != category) & (found.scores > score) & (_iou(_xywh(corners), found.boxes) >= _SAME_PLACE)
        ).any()
    ]
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept])


def _matches(record: Record, found: Detections) -> list[float]:
    """Each box's IoU with the detection of its class that is found for it, one detection a box, 0 without one."""
    ious = np.zeros((len(record.bbox), len(found.boxes)))
    for row, (box, category) in enumerate(zip(record.bbox, record.category)):
        ious[row] = np.where(found.labels == category, _iou(box, found.boxes), 0.0)
    result = np.zeros(len(record.bbox))
    rows, columns = linear_sum_assignment(ious, maximize=True)
    result[rows] = ious[rows, columns]
    return result.tolist()


def _renamed(label: tuple[Box, int], found: Detections, params: Audit) -> bool:
    """Whether the detector is sure of another class in the label's place."""
    box, category = label
    others = (found.labels != category) & (found.scores >= params.sure)
    return bool((_iou(box, found.boxes[others]) >= _SAME_PLACE).any())


def _explained(detection: Box, category: int, scene: Record, known: np.ndarray) -> bool:
    """Whether a detection lies on a label, is part of an object of its own class, or is in the source too."""
    if _iou(detection, known).max(initial=0.0) >= _SAME_PLACE:
        return True
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in scene.bbox]).reshape(-1, 4)
    inside = _shared(detection, corners) / max(detection[2] * detection[3], 1e-9)
    part = (inside >= _INSIDE) & (np.array(scene.category) == category)
    return bool((_iou(detection, corners) >= _EXPLAINED).any() or part.any())


def _iou(box: Box, others: np.ndarray) -> np.ndarray:
    """float (N,): IoU of a box (xywh) with others (xyxy), pixels."""
    shared = _shared(box, others)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return shared / np.maximum(box[2] * box[3] + areas - shared, 1e-9)


def _shared(box: Box, others: np.ndarray) -> np.ndarray:
    """float (N,): pixels that a box (xywh) has in common with others (xyxy)."""
    x, y, width, height = box
    wide = np.minimum(x + width, others[:, 2]) - np.maximum(x, others[:, 0])
    high = np.minimum(y + height, others[:, 3]) - np.maximum(y, others[:, 1])
    return np.clip(wide, 0, None) * np.clip(high, 0, None)


def _xywh(corners: np.ndarray) -> Box:
    x0, y0, x1, y1 = (float(value) for value in corners)
    return x0, y0, x1 - x0, y1 - y0
