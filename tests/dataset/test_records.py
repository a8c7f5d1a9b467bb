import dataclasses
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record, read_set, write_set
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import seal

NAMES = ("cat", "dog")


def record(id: str, shade: int = 0, **columns: object) -> Record:
    return make_record(id, encode_png(Image.new("L", (4, 3), shade)), "train", **({"label": 0} | columns))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_round_trip(tmp_path: Path) -> None:
    synthetic = record(
        "b",
        label=1,
        origin="synthetic",
        source_id="a",
        mode="img2img",
        prompt="a dog",
        negative_prompt="",
        seed=2**62,
        strength=0.1,
        guidance_scale=7.5,
        steps=20,
        scheduler="ddim",
        model="models/generator",
        revision="0" * 40,
        index=3,
    )
    scene = record("c", label=None, bbox=((1.0, 0.5, 2.0, 1.0),), category=(1,))
    rows = (record("a"), synthetic, scene)
    write_set(tmp_path / "set", NAMES, rows)
    images = read_set(tmp_path / "set")
    assert images.names == NAMES
    assert images.records == rows
    assert images.records[0].open().size == (4, 3)


def test_bytes_do_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = [record(f"{index:02d}", index) for index in range(20)]
    write_set(tmp_path / "a", NAMES, rows)
    write_set(tmp_path / "b", NAMES, rows[::-1])
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_more_rows_append_and_stale_parts_go(tmp_path: Path) -> None:
    one = record("x")
    rows = [dataclasses.replace(one, id=f"{index:05d}") for index in range(2500)]
    write_set(tmp_path, NAMES, rows[:1700])
    first = contents(tmp_path)
    write_set(tmp_path, NAMES, rows)
    assert sorted(contents(tmp_path)) == [".sha256", *(f"part-0000{number}.parquet" for number in range(3))]
    assert contents(tmp_path)["part-00000.parquet"] == first["part-00000.parquet"]
    write_set(tmp_path, NAMES, rows[:10])
    assert sorted(contents(tmp_path)) == [".sha256", "part-00000.parquet"]


def test_datasets_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_set(tmp_path / "set", NAMES, [record("a", label=1, bbox=((0.0, 0.0, 1.0, 2.0),), category=(1,))])
    rows = load_dataset(
        "parquet", data_files=str(tmp_path / "set" / "*"), cache_dir=str(tmp_path / "cache"), split="train"
    )
    assert rows.features["label"].names == list(NAMES)
    assert rows[0]["image"].size == (4, 3)
    assert rows[0]["objects"] == {"bbox": [[0.0, 0.0, 1.0, 2.0]], "category": [1]}


def test_a_changed_image_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, NAMES, [record("good"), record("bad")])
    path = tmp_path / "part-00000.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["image"]["bytes"] = encode_png(Image.new("L", (4, 3), 9))
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)
    seal(tmp_path)
    with pytest.raises(UserError, match=r"part-00000\.parquet: image 'bad' does not match its sha256"):
        read_set(tmp_path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path, NAMES, [record("a")])
    path = tmp_path / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"part-00000\.parquet is not as it was written"):
        read_set(tmp_path)
    seal(tmp_path)
    with pytest.raises(UserError, match=r"part-00000\.parquet: not a table of diffaug"):
        read_set(tmp_path)


def test_every_flipped_bit_of_a_table_is_found(tmp_path: Path) -> None:
    """Those of the footer were once read as another class name."""
    write_set(tmp_path, NAMES, [record("a", label=1)])
    path = tmp_path / "part-00000.parquet"
    whole = path.read_bytes()
    for place in random.Random(0).sample(range(len(whole)), 300):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"part-00000\.parquet is not as it was written"):
            read_set(tmp_path)
    path.write_bytes(whole)
    assert len(read_set(tmp_path)) == 1


def test_two_rows_of_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two images have the id 'a'"):
        write_set(tmp_path, NAMES, [record("a"), record("a", 1)])


def test_synthetic_rows_stand_in_train_alone_and_splits_in_their_folders(tmp_path: Path) -> None:
    write_set(tmp_path / "val", NAMES, [record("a")])
    with pytest.raises(UserError, match="'a' is real, of split train: only images of the folder's own split"):
        read_set(tmp_path / "val")
    synthetic = dataclasses.replace(record("a", origin="synthetic"), split="val")
    write_set(tmp_path / "val", NAMES, [synthetic])
    with pytest.raises(UserError, match=r"'a' is synthetic, of split val: .* synthetic ones only in train"):
        read_set(tmp_path / "val")


def test_an_empty_set_round_trips(tmp_path: Path) -> None:
    write_set(tmp_path, (), [])
    assert (len(read_set(tmp_path)), read_set(tmp_path).names) == (0, ())


def test_a_missing_set_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no part-\*\.parquet found; run `dvc repro` or `dvc pull` first"):
        read_set(tmp_path / "nowhere")
