"""Faults in tables of probabilities are one line that names the file and the row."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from diffaug.comparing.classification import measure_classifier, read_true_classes
from diffaug.comparing.probabilities import read_answers, read_names, read_test
from diffaug.evaluation.statistics import image_weights
from diffaug.runtime.errors import UserError

GOOD = "id,label,cat,dog\na.png,cat,0.9,0.1\nb.png,dog,0.4,0.6\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refused(folder: Path, text: str, names: list[str] | None = None) -> str:
    with pytest.raises(UserError) as error:
        read_answers(write(folder / "b.csv", text), names)
    return str(error.value).removeprefix(f"{folder / 'b.csv'}: ")


def against(folder: Path, text: str, first: str = GOOD, truth: str | None = None) -> str:
    """What is said about b.csv beside a.csv."""
    table = write(folder / "truth.csv", truth) if truth else None
    with pytest.raises(UserError) as error:
        test = read_true_classes(write(folder / "a.csv", first), table, None)
        measure_classifier(write(folder / "b.csv", text), test, None, image_weights(len(test.labels), 100, 0))
    return str(error.value).replace(f"{folder}/", "")


def test_what_is_read(tmp_path: Path) -> None:
    answers = read_answers(write(tmp_path / "a.csv", GOOD), None)
    assert (answers.ids, answers.names, answers.labels) == (["a.png", "b.png"], ["cat", "dog"], ["cat", "dog"])
    assert answers.probabilities.tolist() == [[0.9, 0.1], [0.4, 0.6]]


@pytest.mark.parametrize("column", ["file", "image", "path"])
def test_other_names_of_the_id(tmp_path: Path, column: str) -> None:
    answers = read_answers(write(tmp_path / "a.csv", "\ufeff" + GOOD.replace("id", column, 1)), None)
    assert answers.ids == ["a.png", "b.png"]


def test_a_parquet_file_is_read_as_a_csv(tmp_path: Path) -> None:
    folder = tmp_path / "seed=0"  # Arrow would read a column out of this name
    folder.mkdir()
    columns = {"id": [7, 8], "label": ["cat", "dog"], "cat": pa.array([1, 0], pa.float32()), "dog": [0, 1]}
    pq.write_table(pa.table(columns), folder / "a.parquet")
    answers = read_answers(folder / "a.parquet", None)
    assert (answers.ids, answers.names) == (["7", "8"], ["cat", "dog"])
    assert answers.probabilities.tolist() == [[1, 0], [0, 1]]


def test_classes_that_are_numbers(tmp_path: Path) -> None:
    names = read_names(write(tmp_path / "names.txt", "cat\ndog\n"))
    text = "id,label,1,0\na,0,0.1,0.9\nb,dog,0.6,0.4\n"
    answers = read_answers(write(tmp_path / "a.csv", text), names)
    assert (answers.names, answers.labels) == (["dog", "cat"], ["cat", "dog"])
    assert read_answers(write(tmp_path / "a.csv", text), None).names == ["1", "0"]
    assert read_test(write(tmp_path / "truth.csv", "id,label,note\na,1,x\n"), names) == {"a": "dog"}


def test_columns_that_are_not_the_numbers_of_the_names(tmp_path: Path) -> None:
    said = refused(tmp_path, GOOD, ["cat", "dog"])
    assert said == "with 2 names, the columns of classes must be 0 to 1; found cat, dog"


def test_names_that_are_empty_or_twice(tmp_path: Path) -> None:
    for text, line in (("cat\ncat\n", "line 2: 'cat'"), ("cat\n\ndog\n", "line 2: ''")):
        with pytest.raises(UserError, match=f"names.txt: {line}: each line must have a name of its own"):
            read_names(write(tmp_path / "names.txt", text))


def test_logits_are_refused_with_a_hint(tmp_path: Path) -> None:
    said = refused(tmp_path, "id,cat,dog\na.png,0.9,0.1\nb.png,2.5,-1\n")
    assert said == (
        "row 3 ('b.png'): the columns cat, dog have values from -1 to 2.5 and the sum 1.5; probabilities are 0 or more "
        "and sum to 1: if these are logits, apply softmax first"
    )
    assert "the sum 1.5" in refused(tmp_path, "id,cat,dog\na,0.9,0.6\n")


def test_a_value_that_is_no_number(tmp_path: Path) -> None:
    assert refused(tmp_path, "id,cat,dog\na,0.5,0.5\nb,nan,0.6\n") == (
        "row 3 ('b'): 'cat' is nan; it must be a number from 0 to 1"
    )
    assert refused(tmp_path, "id,cat,dog\na,0.5,0.5\nb,,0.6\n").startswith("row 3 ('b'): 'cat' is nan")
    said = refused(tmp_path, "id,cat,dog\na,0.5,0.5\nb,many,0.6\n")
    assert "column #1: Row #3: CSV conversion error to double: invalid value 'many'" in said


def test_text_in_a_column_of_a_parquet_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "cat": ["many"], "dog": [1.0]}), tmp_path / "b.parquet")
    with pytest.raises(UserError, match=r"b\.parquet: column 'cat' holds no numbers"):
        read_answers(tmp_path / "b.parquet", None)


def test_the_same_id_twice(tmp_path: Path) -> None:
    said = refused(tmp_path, "file,cat,dog\na,1,0\nb,1,0\na,0,1\n")
    assert said == "row 4 has the same file 'a' as another before; keep one of them"


def test_an_empty_id_or_label(tmp_path: Path) -> None:
    assert refused(tmp_path, "id,cat,dog\n,1,0\n") == "row 2: id is empty"
    assert refused(tmp_path, "id,label,cat,dog\na,,1,0\n") == "row 2: label is empty"


def test_tables_without_what_is_needed(tmp_path: Path) -> None:
    assert refused(tmp_path, "name,cat,dog\na,1,0\n").startswith("has no column id, file, image or path")
    assert "a column of probabilities for each of two classes" in refused(tmp_path, "id,label,cat\na,cat,1\n")
    assert refused(tmp_path, "id,cat,dog\n") == "has no row"
    assert "a column is named 'cat', which must be a name of its own" in refused(tmp_path, "id,cat,cat\na,1,0\n")
    assert "with pandas: to_csv(index=False)" in refused(tmp_path, ",id,cat,dog\n0,a,1,0\n")
    assert refused(tmp_path, "").startswith("has no column id, file, image or path, which says the image; found none")
    assert refused(tmp_path, "id,cat,dog\na,1\n").startswith(
        "not a table (CSV parse error: Row #2: Expected 3 columns, got 2"
    )
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"b\.parquet: not a table"):
        read_answers(tmp_path / "b.parquet", None)


def test_ids_that_one_side_lacks(tmp_path: Path) -> None:
    said = against(tmp_path, "id,cat,dog\na.png,1,0\n")
    assert said == "b.csv: has no row for 'b.png', which is in a.csv; in all 1 are missing"


def test_ids_that_only_one_side_has(tmp_path: Path) -> None:
    said = against(tmp_path, "id,cat,dog\na.png,1,0\nb.png,1,0\nc.png,1,0\n")
    assert said == "b.csv: row 4: 'c.png' is not in a.csv; compare on the same images"


def test_other_classes(tmp_path: Path) -> None:
    said = against(tmp_path, "id,cat,owl\na.png,1,0\nb.png,1,0\n")
    assert said == "b.csv: other classes than the first file of A: only one of them has 'dog'"


def test_an_unknown_label(tmp_path: Path) -> None:
    said = against(tmp_path, GOOD, GOOD.replace(",dog,0", ",Dog,0"))
    assert said.startswith("a.csv: the label of 'b.png' is 'Dog', and a.csv has no such column; name the columns")


def test_another_label_on_the_other_side(tmp_path: Path) -> None:
    said = against(tmp_path, GOOD.replace(",dog,0", ",cat,0"))
    assert said == "b.csv: row 3 ('b.png'): the label is 'cat', in a.csv it is 'dog'; correct one of them"


def test_no_label_anywhere(tmp_path: Path) -> None:
    said = against(tmp_path, GOOD, "id,cat,dog\na.png,1,0\nb.png,0,1\n")
    assert said == "a.csv: has no column label; add the true class, or give --truth, a table of id and label"


def test_a_truth_of_other_images(tmp_path: Path) -> None:
    said = against(tmp_path, GOOD, truth="id,label\na.png,cat\nc.png,dog\n")
    assert said == "b.csv: has no row for 'c.png', which is in truth.csv; in all 1 are missing"
    said = against(tmp_path, GOOD, truth="id,kind\na.png,cat\n")
    assert said == "truth.csv: has no column label, the true class; found id, kind"
