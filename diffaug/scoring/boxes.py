"""The audit of generated scenes: are the boxes still right, in the eyes of the control detector?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffaug.compose import Box, box_pixels
from diffaug.detections import Detections
from diffaug.generation.masks import part_mask
from diffaug.params.training import Audit
from diffaug.records import Record

_SAME_PLACE = 0.5  # IoU from which two detections are of one object
_EXPLAINED = 0.3  # IoU of a detection with a label that it may belong to
_INSIDE = 0.7  # or the share of it that lies in the label's box: a part of the object


@dataclass(frozen=True)
class BoxAudit:
    """What the detector says of a scene.

    iou: the worst of the judged boxes' best IoU with a detection of their class, 1 where none is judged; new: the
    highest confidence of a detection that no label and no object of the source explains, 0 without one; new_boxes:
    (x, y, width, height, confidence) of those that are sure.
    """

    iou: float
    new: float
    new_boxes: tuple[tuple[float, ...], ...]


def audit(scene: Record, source: Record, found: Detections, found_in_source: Detections, params: Audit) -> BoxAudit:
    """Look for every box of the generated scene, and for objects without one.

    A box that the source has too is judged only where the detector is sure of it there: what it misses on the
    photograph it may miss here. What it sees in the source without a label is not held against the scene either.
    """
    real = set(zip(source.bbox, source.category))
    worst = 1.0
    for box, category in zip(scene.bbox, scene.category):
        if (box, category) in real and not _finds(found_in_source, box, category, params.sure, params.min_iou):
            continue
        worst = min(worst, _best_iou(found, box, category, params.found))
    known = found_in_source.boxes[found_in_source.scores >= params.found]
    new = [
        (*_xywh(corners), float(score))
        for corners, score in zip(found.boxes, found.scores)
        if score >= params.found and not _explained(_xywh(corners), scene.bbox, known)
    ]
    highest = max((one[4] for one in new), default=0.0)
    return BoxAudit(worst, highest, tuple(one for one in new if one[4] >= params.sure))


def protected_changes(scene: Record, source: Record) -> int:
    """How many pixels outside of what its mode may change differ from the source's. Other than 0 is a bug."""
    settings = json.loads(scene.settings or "{}")
    before, after = (np.asarray(record.open(), dtype=np.int16) for record in (source, scene))
    changed = np.abs(before - after).reshape(*before.shape[:2], -1).max(axis=2) > 0
    for x, y, width, height in settings.get("pasted", []):
        changed[box_pixels((x, y, width, height))] = False
    for part in settings.get("parts", []):
        mask = part_mask(source, scene.mode or "", tuple(part["region"]), part["object"], settings["padding"])
        changed &= ~mask
    return int(changed.sum())


def outside(scene: Record) -> float:
    """By how many pixels a box of the scene leaves it at most, 0 where none does."""
    width, height = scene.open().size
    return max((max(0.0, -x, -y, x + w - width, y + h - height) for x, y, w, h in scene.bbox), default=0.0)


def _finds(found: Detections, box: Box, category: int, confidence: float, iou: float) -> bool:
    return _best_iou(found, box, category, confidence) >= iou


def _best_iou(found: Detections, box: Box, category: int, confidence: float) -> float:
    """The best IoU of the box with a detection of its class that is at least so confident; 0 without one."""
    fits = (found.labels == category) & (found.scores >= confidence)
    return float(_iou(box, found.boxes[fits]).max(initial=0.0))


def _explained(detection: Box, labels: Sequence[Box], known: np.ndarray) -> bool:
    if _iou(detection, known).max(initial=0.0) >= _SAME_PLACE:
        return True
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in labels]).reshape(-1, 4)
    inside = _shared(detection, corners) / max(detection[2] * detection[3], 1e-9)
    return bool((_iou(detection, corners) >= _EXPLAINED).any() or (inside >= _INSIDE).any())


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
