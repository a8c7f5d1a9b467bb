"""Data sets of ModelScope, from a server on this machine that speaks its API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from modelscope_server import COMMIT, ModelScopeServer, serve
from sets import noise

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record, write_set
from diffaug.params.download import DownloadParams
from diffaug.runtime.errors import UserError
from diffaug.sources.real import RealData
from diffaug.sources.tasks import read_both

CARD = """---
license: mit
configs:
- config_name: first
  data_files: first/**/*.parquet
- config_name: second
  data_files:
  - {split: train, path: second/train/*.parquet}
  - {split: validation, path: [second/val/*.parquet]}
  - {split: test, path: second/test/*.parquet}
---
"""


def labelled(root: Path, first: int) -> None:
    for part, split in enumerate(("train", "val", "test")):
        images = [encode_png(noise(100 * part + first + number)) for number in range(6)]
        records = [make_record(f"{number}", data, split, label=number % 2) for number, data in enumerate(images)]
        write_set(root / split, ("cat", "狗"), records)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelScopeServer]:
    """own/plain: splits by folder; own/two: a card with two configs, and files that no reader of images needs."""
    labelled(tmp_path / "plain", 0)
    for number, name in enumerate(("first", "second")):
        labelled(tmp_path / "two" / name, 1000 * (number + 1))
    (tmp_path / "two/README.md").write_text(CARD)
    (tmp_path / "two/two.py").write_text("raise SystemExit")
    with serve({f"datasets/own/{name}": tmp_path / name for name in ("plain", "two")}) as server:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", server.endpoint)
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def load(work: Path, name: str, **more: Any) -> RealData:
    source = {"source": "hf", "hub": "modelscope", "name": name, "revision": COMMIT, "image": "image", "label": "label"}
    splits = {"splits": {"train": "train", "val": "validation", "test": "test"}}
    fractions = {"val_fraction": 0.2, "test_fraction": 0.2}
    cls = source | splits | fractions | more
    params = DownloadParams.model_validate({"seed": 0, "strict": True, "unseen_by": None, "cls": cls, "det": None})
    return read_both(params, work)[0]


def test_a_set_is_what_the_hub_has_also_without_the_hub(hub: ModelScopeServer, tmp_path: Path) -> None:
    for work in ("one", "two"):
        data = load(tmp_path / work, "own/plain")
        assert data.names == ("cat", "狗")
        images = {record.image for records in data.splits.values() for record in records}
        assert images == {encode_png(noise(100 * part + number)) for part in range(3) for number in range(6)}
        if work == "one":
            hub.shutdown()
            hub.server_close()


def test_of_a_set_with_configs_only_the_named_one_is_fetched(hub: ModelScopeServer, tmp_path: Path) -> None:
    data = load(tmp_path / "work", "own/two", config="second")
    assert data.splits["train"][0].image == encode_png(noise(2000))
    assert {name.partition("/")[0] for name in hub.files()} == {"README.md", "second"}
    other = load(tmp_path / "work", "own/two", config="first", splits={"train": "train", "val": None, "test": None})
    assert {record.image for record in other.splits["train"]} <= {
        encode_png(noise(1000 + 100 * part + number)) for part in range(3) for number in range(6)
    }


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("own/two", {}, r"^download\.cls\.config: found None; own/two has first, second; name one$"),
        (
            "own/two",
            {"config": "third"},
            r"^download\.cls\.config: found 'third'; own/two has first, second; name one$",
        ),
        ("own/none", {}, r"^download\.cls: own/none at 5c09e.* is not on http://.*/datasets/own/none\.git` prints the"),
    ],
)
def test_what_is_not_there_is_one_line(
    name: str, more: dict[str, Any], words: str, hub: ModelScopeServer, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        load(tmp_path / "work", name, **more)
    assert "\n" not in str(caught.value)


def test_an_image_that_arrives_changed_is_refused(hub: ModelScopeServer, tmp_path: Path) -> None:
    hub.wrong.add(next((tmp_path / "plain/test").glob("*.parquet")).name)
    with pytest.raises(UserError, match=r"^download\.cls: own/plain at .* is not the file of which ModelScope states"):
        load(tmp_path / "work", "own/plain")
