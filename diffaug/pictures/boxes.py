"""The formats of boxes, in pixels from the top left of an image, and operations on boxes."""

from collections.abc import Sequence

import numpy as np

XYWH = tuple[float, float, float, float]  # left, top, width, height: as in the image table and in COCO
XYXY = tuple[float, float, float, float]  # left, top, right, bottom: as in detectors and torchvision.ops
Region = tuple[int, int, int, int]  # left, top, right, bottom in whole pixels, as for Pillow's crop


def to_xyxy(boxes: Sequence[XYWH]) -> np.ndarray:
    """float64 (N, 4), XYXY."""
    return _converted(boxes, "xywh", "xyxy")


def to_xywh(boxes: np.ndarray) -> list[XYWH]:
    """The boxes (N, 4), XYXY, as XYWH."""
    return [(x, y, width, height) for x, y, width, height in _converted(boxes, "xyxy", "xywh").tolist()]


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (N, M): intersection over union of XYXY boxes (N, 4) and (M, 4); 0 for two boxes without area."""
    import torch
    from torchvision.ops import box_iou

    return np.nan_to_num(box_iou(*(torch.from_numpy(_array(boxes, np.float32)) for boxes in (first, second))).numpy())


def shared(first: XYWH, second: XYWH) -> float:
    """The area that two boxes share, in pixels."""
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def pixels_of(box: XYWH) -> tuple[slice, slice]:
    """Rows and columns of every pixel that a box touches."""
    x, y, width, height = box
    left, top = max(0, int(np.floor(x))), max(0, int(np.floor(y)))
    return slice(top, int(np.ceil(y + height))), slice(left, int(np.ceil(x + width)))


def edges(box: XYWH) -> Region:
    """The box in whole pixels, rounded, at least one pixel wide and high."""
    x, y, width, height = box
    left, top = round(x), round(y)
    return left, top, max(left + 1, round(x + width)), max(top + 1, round(y + height))


def outline(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The XYWH box of the true pixels of a bool mask (H, W); zeros if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)


def _converted(boxes: Sequence[XYWH] | np.ndarray, given: str, wanted: str) -> np.ndarray:
    import torch  # imported here, since the plan needs boxes but not torch
    from torchvision.ops import box_convert

    return box_convert(torch.from_numpy(_array(boxes, np.float64)), given, wanted).numpy()


def _array(boxes: Sequence[XYWH] | np.ndarray, dtype: type) -> np.ndarray:
    return np.asarray(boxes, dtype=dtype).reshape(-1, 4)
