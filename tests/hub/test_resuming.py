"""Large files of Hugging Face: taken up where a killed download stopped, and checked."""

from collections.abc import Iterator
from pathlib import Path

import hub_server
import pytest
from hub_server import COMMIT, HubServer
from huggingface_hub import try_to_load_from_cache

from diffaug.hub import resuming
from diffaug.hub.resuming import fetch_large
from diffaug.runtime.errors import UserError

LARGE = bytes(range(256)) * 4000


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served/model.safetensors").write_bytes(LARGE)
    (tmp_path / "served/config.json").write_text("{}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with hub_server.serve({"own/model": tmp_path / "served"}) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server


def fetch() -> None:
    fetch_large("own/model", COMMIT, ["config.json", "model.safetensors"], "model", "here")


def blobs(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("blobs/*") if path.is_file()]


def test_what_is_there_is_not_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    fetch()
    (blob,) = blobs(tmp_path)
    assert blob.read_bytes() == LARGE
    part = blob.rename(blob.with_name(f"{blob.name}.diffaug.incomplete"))
    part.write_bytes(LARGE[:1000])
    fetch()
    fetch()
    assert [start for path, start in hub.ranges if path.endswith(".safetensors")] == [0, 1000]
    assert [path.read_bytes() for path in blobs(tmp_path)] == [LARGE]
    assert not isinstance(try_to_load_from_cache("own/model", "config.json", revision=COMMIT), str)


def test_another_content_is_removed(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch()
    (blob,) = blobs(tmp_path)
    blob.rename(blob.with_name(f"{blob.name}.diffaug.incomplete")).write_bytes(bytes(1000))
    with pytest.raises(
        UserError, match=r"^here: model\.safetensors of own/model does not have the SHA-256 that the hub"
    ):
        fetch()
    assert blobs(tmp_path) == []
    fetch()
    assert blobs(tmp_path) == [blob]


def test_a_file_beyond_plain_http_is_left_to_the_library(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming.constants, "MAX_HTTP_DOWNLOAD_SIZE", 1000)
    fetch()
    assert blobs(tmp_path) == []
