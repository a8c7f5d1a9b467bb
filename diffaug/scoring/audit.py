"""The audit of generated scenes: are the boxes still right, according to the control detector?"""

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
from diffaug.pictures.boxes import XYWH, iou, to_xywh, to_xyxy
from diffaug.scoring.material import Columns, Material

_SAME_PLACE = 0.5  # IoU from which two detections are of the same object
_EXPLAINED = 0.3  # IoU from which a detection may belong to a label
_FEW = 5  # objects of a class in val; with fewer, its recall is not known
_INSIDE = 0.7  # or its share inside the box of a label of its class: it is a part of the object


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
        + ("; the others are accepted unchecked: train it longer, or look at the sheet" if judged < boxes / 2 else "")
    )
    return columns


def failures(row: Mapping[str, Any], params: Audit) -> Iterator[tuple[str, bool]]:
    """The checks of the scene, from its row of the ledger: reason, and whether it fails."""
    yield "object not found", row["box_iou"] < params.min_iou
    yield "new object", params.new_objects == "reject" and row["new_object"] >= params.sure


@dataclass(frozen=True)
class BoxAudit:
    """The result of the audit of a scene.

    judged: how many boxes the detector can judge; iou: the lowest IoU of these with their detections, 1 if none is
    judged; new: the highest confidence of a detection that matches no label and no object of the source, 0 without one;
    new_boxes: (x, y, width, height, confidence) of those with confidence `sure`.
    """

    judged: int
    iou: float
    new: float
    new_boxes: tuple[tuple[float, ...], ...]


def trusted_classes(
    records: Sequence[Record], found: Sequence[Detections], classes: int, params: Audit
) -> frozenset[int]:
    """The classes of which the detector finds at least the share `min_recall` of the objects in real val images, if
    there are at least five."""
    hits, objects = np.zeros(classes), np.zeros(classes)
    for record, detections in zip(records, found):
        for category, found_at in zip(record.category, _matches(record, _standing(detections, params.found))):
            objects[category] += 1
            hits[category] += found_at >= params.min_iou
    return frozenset(np.flatnonzero((objects >= _FEW) & (hits >= params.min_recall * objects)).tolist())


def audit(
    scene: Record,
    source: Record,
    found: Detections,
    found_in_source: Detections,
    params: Audit,
    trusted: Collection[int],
) -> BoxAudit:
    """Search for every box of the generated scene, and for objects without a box.

    A box that is also in the source is judged only if the detector is sure of it there: an object that it misses in the
    photograph, it may also miss here. A box that is new, or of another class than in the source, is judged only if its
    class is `trusted` (if a detector misses real objects of a class, then missing a drawn one proves nothing), or if
    the detector is sure of another class in its place. Detections in the source without a label do not count against
    the scene.
    """
    again, before = (_standing(one, params.found) for one in (found, found_in_source))
    sure = dict(zip(zip(source.bbox, source.category), _matches(source, _standing(found_in_source, params.sure))))
    ious = [
        found_at
        for label, found_at in zip(zip(scene.bbox, scene.category), _matches(scene, again))
        if (sure[label] >= params.min_iou if label in sure else label[1] in trusted or _renamed(label, found, params))
    ]
    new = [
        (*box, float(score))
        for box, score, explained in zip(to_xywh(again.boxes), again.scores, _explained(again, scene, before))
        if not explained
    ]
    highest = max((one[4] for one in new), default=0.0)
    return BoxAudit(len(ious), min(ious, default=1.0), highest, tuple(one for one in new if one[4] >= params.sure))


def _standing(found: Detections, confidence: float) -> Detections:
    """The detections of at least this confidence that no surer one of another class in the same place contradicts."""
    surer = (found.scores[None] > found.scores[:, None]) & (found.labels[None] != found.labels[:, None])
    contradicted = (surer & (iou(found.boxes, found.boxes) >= _SAME_PLACE)).any(axis=1)
    kept = (found.scores >= confidence) & ~contradicted
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept])


def _matches(record: Record, found: Detections) -> list[float]:
    """Each box's IoU with the detection of its class that is found for it, one detection per box, 0 without one."""
    same = np.array(record.category, dtype=np.int64)[:, None] == found.labels[None]
    ious = np.where(same, iou(to_xyxy(record.bbox), found.boxes), 0.0)
    result = np.zeros(len(record.bbox))
    rows, columns = linear_sum_assignment(ious, maximize=True)
    result[rows] = ious[rows, columns]
    return result.tolist()


def _renamed(label: tuple[XYWH, int], found: Detections, params: Audit) -> bool:
    """Whether the detector is sure of another class at the label's place."""
    box, category = label
    others = (found.labels != category) & (found.scores >= params.sure)
    return bool((iou(to_xyxy([box]), found.boxes[others]) >= _SAME_PLACE).any())


def _explained(found: Detections, scene: Record, before: Detections) -> np.ndarray:
    """bool (N,): which detections match a label, are part of an object of their class, or are also in the source."""
    labels = to_xyxy(scene.bbox)
    in_source = (iou(found.boxes, before.boxes) >= _SAME_PLACE).any(axis=1)
    on_label = (iou(found.boxes, labels) >= _EXPLAINED).any(axis=1)
    same = found.labels[:, None] == np.array(scene.category, dtype=np.int64)[None]
    part = (same & (_inside(found.boxes, labels) >= _INSIDE)).any(axis=1)
    return in_source | on_label | part


def _inside(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float (N, M): the share of each XYXY box (N, 4) inside each of the others (M, 4)."""
    shared = np.minimum(boxes[:, None, 2:], others[None, :, 2:]) - np.maximum(boxes[:, None, :2], others[None, :, :2])
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.prod(np.clip(shared, 0, None), axis=2) / np.maximum(areas, 1e-9)[:, None]
