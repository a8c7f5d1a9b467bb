"""EuroSAT comes from the user's mirror of Hugging Face."""

import hashlib
from pathlib import Path
from zipfile import ZipFile

import hub_server
import pytest
from sets import noise

from diffaug.runtime.errors import UserError
from diffaug.sources import eurosat
from diffaug.sources.published import SETS, open_parts


def test_it_comes_from_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set").mkdir()
    archive = tmp_path / "set" / eurosat.FILE
    noise(0).save(tmp_path / "one.jpg")
    with ZipFile(archive, "w") as file:
        file.write(tmp_path / "one.jpg", "2750/Forest/Forest_1.jpg")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(eurosat, "COMMIT", hub_server.COMMIT)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with hub_server.serve({f"datasets/{eurosat.NAME}": tmp_path / "set"}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        with pytest.raises(UserError, match=r"does not have the MD5 c8fa01"):
            open_parts(SETS["eurosat"], "eurosat", tmp_path / "work")
        monkeypatch.setattr(eurosat, "MD5", hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest())
        (part,), test = open_parts(SETS["eurosat"], "eurosat", tmp_path / "work")
    assert (part.classes, len(part), test) == (["Forest"], 1, None)
    asked = f"GET datasets/{eurosat.NAME}/resolve/{hub_server.COMMIT}/{eurosat.FILE}"
    assert server.requests.count(asked) == 1
