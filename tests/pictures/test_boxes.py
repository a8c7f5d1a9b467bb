import numpy as np
import pytest

from diffaug.pictures.boxes import edges, iou, outline, pixels_of, shared, to_xywh, to_xyxy


def test_conversions_there_and_back() -> None:
    assert to_xyxy([(1.0, 2.0, 3.0, 4.5)]).tolist() == [[1.0, 2.0, 4.0, 6.5]]
    assert to_xywh(np.array([[1.0, 2.0, 4.0, 6.5]])) == [(1.0, 2.0, 3.0, 4.5)]
    assert to_xyxy([]).shape == (0, 4) and to_xywh(np.zeros((0, 4))) == []


def test_iou_by_hand() -> None:
    first = to_xyxy([(0.0, 0.0, 10.0, 10.0), (5.0, 5.0, 0.0, 0.0)])
    second = to_xyxy([(5.0, 5.0, 10.0, 10.0), (0.0, 0.0, 10.0, 10.0), (5.0, 5.0, 0.0, 0.0)])
    assert iou(first, second) == pytest.approx(np.array([[25 / 175, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    assert iou(first, np.zeros((0, 4))).shape == (2, 0)


def test_shared_pixels() -> None:
    assert shared((0, 0, 10, 10), (5, 5, 10, 10)) == 25
    assert shared((0, 0, 10, 10), (10, 0, 5, 5)) == 0


def test_whole_pixels_of_a_box() -> None:
    assert pixels_of((0.5, 1.0, 2.0, 3.2)) == (slice(1, 5), slice(0, 3))
    assert edges((0.6, 1.4, 2.0, 3.2)) == (1, 1, 3, 5)
    assert edges((4.0, 4.0, 0.2, 0.2)) == (4, 4, 5, 5)


def test_the_outline_of_a_mask() -> None:
    mask = np.zeros((6, 8), dtype=bool)
    assert outline(mask) == (0, 0, 0, 0)
    mask[2:5, 3] = mask[4, 1:4] = True
    assert outline(mask) == (1, 2, 3, 3)
