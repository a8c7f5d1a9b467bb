"""A folder is read as it was written, or not at all."""

import shutil
from pathlib import Path

import pytest
from systems import posix

from diffaug.runtime import seals
from diffaug.runtime.errors import UserError
from diffaug.runtime.seals import SEAL, check_seal, is_sealed, seal


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    folder = tmp_path / "out"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet/config.json").write_text("{}")
    (folder / "two words.txt").write_text("two words")
    seal(folder)
    return folder


def test_the_list_is_that_of_sha256sum(folder: Path) -> None:
    assert (folder / SEAL).read_bytes() == (
        b"a03f1d611645eb53ad16c1af546ca0792dc884505bab57ede80f4dad6b911d3a  two words.txt\n"
        b"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a  unet/config.json\n"
    )


def test_a_whole_folder_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_seal(folder)
    monkeypatch.setattr(seals, "file_sha256", lambda path: pytest.fail("it was hashed again"))
    check_seal(folder)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda folder: (folder / "unet/config.json").write_text("[]"), "unet/config.json is not as it was written"),
        (lambda folder: (folder / "unet/config.json").unlink(), "unet/config.json is missing"),
        (lambda folder: (folder / "more.txt").touch(), "more.txt is not one of the files that were written"),
        (lambda folder: (folder / SEAL).unlink(), ".sha256 is missing"),
        (lambda folder: (folder / SEAL).write_bytes(b"\xff"), ".sha256 is not as it was written"),
        (lambda folder: (folder / SEAL).write_text("garbage\n"), ".sha256 is not as it was written"),
        (lambda folder: (folder / SEAL).write_text(""), "two words.txt is not one of the files"),
    ],
)
def test_every_change_is_found(folder: Path, damage: object, found: str) -> None:
    check_seal(folder)  # so that it is remembered
    damage(folder)  # type: ignore[operator]
    assert not is_sealed(folder)
    with pytest.raises(UserError, match=found) as error:
        check_seal(folder)
    assert "`diffaug doctor --remove` removes damaged copies, then `dvc pull` or `dvc repro`" in str(error.value)


def test_every_flipped_bit_is_found(folder: Path) -> None:
    for path in (folder / "two words.txt", folder / SEAL):
        whole = path.read_bytes()
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert not is_sealed(folder), f"{path.name}, byte {place}"
        path.write_bytes(whole)
    assert is_sealed(folder)


def test_a_copy_is_sealed_too(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert is_sealed(tmp_path / "copy")


@posix
def test_nothing_need_be_writable(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "file/below"))
    check_seal(folder)


def test_what_a_desktop_leaves_behind_is_no_fault(folder: Path) -> None:
    for name in (".DS_Store", "unet/.DS_Store", "Thumbs.db", ".nfs000001", "labels.cache"):
        (folder / name).write_bytes(b"x")
    check_seal(folder)


@pytest.mark.parametrize("kind", ["bytes", "folder"])
def test_a_damaged_memory_is_only_forgotten(folder: Path, tmp_path: Path, kind: str) -> None:
    check_seal(folder)
    (memory,) = (tmp_path / "work/checked").iterdir()
    memory.unlink()
    if kind == "folder":
        memory.mkdir()
    else:
        memory.write_bytes(b"\xff\xfe")
    check_seal(folder)
