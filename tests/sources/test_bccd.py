import functools
import http.server
import io
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from shared_data import shared

from diffaug.params.download import Bccd, BoxFolder, Crops, DownloadParams
from diffaug.runtime.errors import UserError
from diffaug.sources import bccd
from diffaug.sources.real import check_classes, check_disjoint
from diffaug.sources.tasks import read_both

TOP = "BCCD_Dataset-d272fb1"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served by a web server on this machine; the source downloads its archive from there."""
    folder = tmp_path / "www"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(bccd, "URL", f"http://127.0.0.1:{web.server_port}/bccd.tar.gz")
    yield folder
    web.shutdown()
    web.server_close()
    thread.join()


def pack(server: Path, source: Path, change: dict[str, bytes] | None = None, extra: str | None = None) -> None:
    """The archive in GitHub's layout; `change`: other bytes for some files; `extra`: the name of an extra member."""
    with tarfile.open(server / "bccd.tar.gz", "w:gz", compresslevel=1) as archive:
        for path in sorted(path for path in source.rglob("*") if path.is_file() and path.name != "SOURCE.md"):
            name = path.relative_to(source).as_posix()
            data = (change or {}).get(name, path.read_bytes())
            add(archive, f"{TOP}/{name}" if name == "LICENSE" else f"{TOP}/BCCD/{name}", data)
        add(archive, f"{TOP}/README.md", b"to be left out")
        if extra:
            add(archive, extra, b"out of its folder")


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def params(**changes: object) -> DownloadParams:
    return DownloadParams(seed=0, strict=True, cls=changes.get("cls"), det=Bccd(source="bccd"))


def test_downloaded_once_and_read_with_its_own_splits(
    server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack(server, shared("bccd"))
    crops = Crops(source="crops", context=1.2, min_side=16, per_class=30)
    cls, det = read_both(params(cls=crops), tmp_path / "work")
    assert det.names == ("Platelets", "RBC", "WBC")
    assert {split: len(records) for split, records in det.splits.items()} == {"train": 205, "val": 87, "test": 72}
    counts = Counter(number for records in det.splits.values() for record in records for number in record.category)
    assert counts == {0: 361, 1: 4155 - 2, 2: 372}
    assert (det.dropped.rows, det.dropped.images) == (2, 0)
    out = capsys.readouterr().out
    assert "dropped 2 rows (box without area), the first: " in out
    assert "BloodImage_00343.xml, line 50: the box 181 329 181 329 has no area" in out
    assert {len(records) for records in cls.splits.values()} == {90}
    check_classes(cls, "cls")
    check_disjoint([*cls.splits.items(), *det.splits.items()])
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["bccd"]
    (server / "bccd.tar.gz").unlink()
    assert read_both(params(), tmp_path / "work")[1] == det  # from the cache


def test_the_same_folder_of_ones_own_has_the_two_faults(tmp_path: Path) -> None:
    folder = BoxFolder(source="folder", path=str(shared("bccd")), val_fraction=0.2, test_fraction=0.2)
    strict = DownloadParams(seed=0, strict=True, cls=None, det=folder)
    with pytest.raises(UserError, match=r"BloodImage_00343\.xml, line 50: the box .* has no area.*1 more"):
        read_both(strict, tmp_path)
    data = read_both(strict.model_copy(update={"strict": False}), tmp_path)[1]
    assert sum(len(record.bbox) for records in data.splits.values() for record in records) == 4886


def test_another_byte_is_refused(server: Path, tmp_path: Path) -> None:
    source = shared("bccd")
    name = "Annotations/BloodImage_00001.xml"
    pack(server, source, {name: (source / name).read_bytes().replace(b"WBC", b"RBC", 1)})
    with pytest.raises(UserError, match=r"the files of BCCD have the SHA-256 .*expected 8cc74636cd78\.\.\.; they were"):
        bccd.fetch(tmp_path / "work/bccd")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_cache_that_was_changed_is_refused_but_not_removed(server: Path, tmp_path: Path) -> None:
    pack(server, shared("bccd"))
    folder = bccd.fetch(tmp_path / "bccd")
    (folder / "LICENSE").write_text("mine")
    with pytest.raises(UserError, match=r"remove .*bccd and run again"):
        bccd.fetch(tmp_path / "bccd")
    assert (folder / "LICENSE").read_text() == "mine"


@pytest.mark.parametrize("name", ["../evil.txt", f"{TOP}/../../evil.txt", "/evil.txt/../../evil.txt"])
def test_a_file_that_would_leave_the_folder_is_refused(server: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "few").mkdir()
    pack(server, tmp_path / "few", extra=name)
    with pytest.raises(UserError, match="cannot be unpacked safely"):
        bccd.fetch(tmp_path / "work/bccd")
    assert not list(tmp_path.rglob("evil.txt"))


def test_what_is_no_bccd_is_refused(server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded \(HTTP Error 404.*\); connect to the internet, or put"):
        bccd.fetch(tmp_path / "work/bccd")
    (server / "bccd.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be unpacked safely"):
        bccd.fetch(tmp_path / "work/bccd")
    (tmp_path / "few").mkdir()
    pack(server, tmp_path / "few")
    with pytest.raises(UserError, match="has no Annotations; it is not BCCD"):
        bccd.fetch(tmp_path / "work/bccd")
    monkeypatch.setattr(bccd, "_MAX_BYTES", 5)
    with pytest.raises(UserError, match="unpacks to more than 5 bytes"):
        bccd.fetch(tmp_path / "work/bccd")
    assert list((tmp_path / "work").iterdir()) == []
