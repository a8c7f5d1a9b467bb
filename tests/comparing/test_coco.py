"""Faults in COCO files are one line that names the file and the row."""

import copy
from pathlib import Path
from typing import Any

import coco_sides
import pytest

from diffaug.comparing.coco import read_results, read_truth
from diffaug.runtime.errors import UserError

TRUTH: dict[str, Any] = {
    "images": [
        {"id": 5, "file_name": "val/a.jpg"},
        {"id": 2, "file_name": "b.jpg"},
        {"id": "x", "file_name": "0005.jpg"},
    ],
    "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}],
    "annotations": [{"id": 0, "image_id": 5, "category_id": 3, "bbox": [1, 2, 30, 40], "area": 900}],
}
ROW = {"image_id": 5, "category_id": 3, "bbox": [1, 2, 30.5, 40], "score": 0.5}


def refused(folder: Path, rows: Any) -> str:
    truth = read_truth(coco_sides.write_json(folder / "truth.json", TRUTH))
    with pytest.raises(UserError) as error:
        read_results(coco_sides.write_json(folder / "b.json", rows), truth)
    return str(error.value).removeprefix(f"{folder / 'b.json'}: ")


def refused_truth(folder: Path, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        read_truth(coco_sides.write_json(folder / "truth.json", copy.deepcopy(TRUTH) | changes))
    return str(error.value).removeprefix(f"{folder / 'truth.json'}: ")


def changed(key: str, value: Any) -> dict[str, list[Any]]:
    """The annotations with another value."""
    return {"annotations": [TRUTH["annotations"][0] | {key: value}]}


def test_what_is_read(tmp_path: Path) -> None:
    truth = read_truth(coco_sides.write_json(tmp_path / "truth.json", TRUTH))
    assert (truth.names, truth.images) == (("cat", "dog"), 3)
    assert truth.rows[0] == []
    assert truth.rows[1][0]["image_id"] == 2 and truth.rows[1][0]["id"] == 1 and truth.rows[1][0]["iscrowd"] == 0
    found = read_results(coco_sides.write_json(tmp_path / "b.json", [ROW, ROW | {"image_id": "x"}]), truth)
    assert (found.image.tolist(), found.category.tolist(), found.score.tolist()) == ([1, 2], [1, 1], [0.5, 0.5])
    assert found.box.tolist() == [[1, 2, 30.5, 40]] * 2


def test_the_name_of_the_file_says_the_image_where_ultralytics_makes_an_id_of_it(tmp_path: Path) -> None:
    """From 0005.jpg Ultralytics makes the image_id 5, which here is another image."""
    truth = read_truth(coco_sides.write_json(tmp_path / "truth.json", TRUTH))
    rows = [ROW | {"file_name": "0005.jpg"}, ROW | {"image_id": "a", "file_name": "a.jpg"}]
    assert read_results(coco_sides.write_json(tmp_path / "b.json", rows), truth).image.tolist() == [2, 1]
    assert "the truth has no such image" in refused(tmp_path, [ROW | {"file_name": "0005.png"}])


def test_files_of_one_name_in_two_folders_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "x/a.jpg"}, {"id": 2, "file_name": "y\\a.jpg"}, {"id": 9, "file_name": "9.jpg"}]
    truth = read_truth(coco_sides.write_json(tmp_path / "truth.json", TRUTH | {"images": images}))
    rows = [ROW | {"image_id": image, "file_name": "a.jpg"} for image in (5, 2)]
    assert read_results(coco_sides.write_json(tmp_path / "b.json", rows), truth).image.tolist() == [1, 0]
    with pytest.raises(UserError, match="the truth has no such image"):
        read_results(coco_sides.write_json(tmp_path / "b.json", [rows[0] | {"image_id": 9}]), truth)


def test_no_result_at_all_is_no_fault(tmp_path: Path) -> None:
    truth = read_truth(coco_sides.write_json(tmp_path / "truth.json", TRUTH))
    assert read_results(coco_sides.write_json(tmp_path / "b.json", []), truth).box.shape == (0, 4)


def test_a_result_on_an_unknown_image(tmp_path: Path) -> None:
    said = refused(tmp_path, [ROW, ROW | {"image_id": 7}])
    assert said == (
        "result 2 (image_id 7): the truth has no such image (its ids: 2, 5, 'x'); use its ids and names of files"
    )


def test_a_result_of_an_unknown_class(tmp_path: Path) -> None:
    said = refused(tmp_path, [ROW | {"category_id": 0}])
    assert said.startswith("result 1 (image_id 5): category_id 0 is not in the truth (its ids: 1, 3); use its ids")


@pytest.mark.parametrize("score", ["NaN", 1.5, -0.1, None, "0.5", True])
def test_a_score_that_is_none(tmp_path: Path, score: Any) -> None:
    value = float("nan") if score == "NaN" else score
    said = refused(tmp_path, [ROW | {"score": value}])
    assert said == f"result 1 (image_id 5): score is {value!r}; it must be a number from 0 to 1"


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 3, float("inf")], [1, 2, 3, 10**400], "1234", None, [1, 2, 3, "4"]])
def test_a_box_that_is_none(tmp_path: Path, box: Any) -> None:
    assert "it must be four finite numbers: x, y, width, height in pixels" in refused(tmp_path, [ROW | {"bbox": box}])


def test_a_box_of_negative_width(tmp_path: Path) -> None:
    assert "none of the last two below 0" in refused(tmp_path, [ROW | {"bbox": [50, 2, -3, 9]}])


def test_a_segmentation_without_a_box(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "bbox"} | {
        "segmentation": {"size": [9, 9], "counts": "x"}
    }
    assert refused(tmp_path, [row]).endswith("has a segmentation and no bbox; only boxes are compared: export them")


def test_a_result_that_lacks_a_value(tmp_path: Path) -> None:
    row = {key: value for key, value in ROW.items() if key != "score"}
    assert "has no score; a result has image_id, category_id, bbox and score" in refused(tmp_path, [row])


def test_files_that_are_no_results(tmp_path: Path) -> None:
    assert refused(tmp_path, TRUTH).endswith("the ground truth belongs to --truth")
    assert refused(tmp_path, [3]) == "result 1 is int, not an object with named values"
    truth = read_truth(tmp_path / "truth.json")
    (tmp_path / "b.json").write_text('[{"image_id": 5,')
    with pytest.raises(UserError, match=r"b\.json: not readable as JSON .*; export it again"):
        read_results(tmp_path / "b.json", truth)


def test_a_truth_that_is_none(tmp_path: Path) -> None:
    assert "not a COCO file with the lists images, annotations, categories" in refused_truth(tmp_path, images=None)


def test_faults_of_the_truth(tmp_path: Path) -> None:
    assert "annotation 1 (image_id 9): image_id 9 is not in `images`" in refused_truth(
        tmp_path, **changed("image_id", 9)
    )
    assert "category_id 2 is not in `categories`" in refused_truth(tmp_path, **changed("category_id", 2))
    assert "bbox is [1, 2]" in refused_truth(tmp_path, **changed("bbox", [1, 2]))
    assert "area is -1" in refused_truth(tmp_path, **changed("area", -1))
    assert "has no object outside crowd regions" in refused_truth(tmp_path, **changed("iscrowd", 1))
    assert "has no object outside crowd regions" in refused_truth(tmp_path, annotations=[])
    assert "two of `images` have the id 1" in refused_truth(tmp_path, images=[{"id": 1}, {"id": 1}])
    assert "categories 1: id is 1.5" in refused_truth(tmp_path, categories=[{"id": 1.5}])
    assert "images 1: id is None" in refused_truth(tmp_path, images=["a"])


def test_classes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "cat"}, {"id": 1, "name": "cat"}, {"id": 4}]
    content = TRUTH | {"categories": categories}
    assert read_truth(coco_sides.write_json(tmp_path / "truth.json", content)).names == (
        *("cat (id 1)", "cat (id 3)"),
        "class",
    )
