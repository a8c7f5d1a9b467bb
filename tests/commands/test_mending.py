"""What `diffaug doctor --remove` removes, and that DVC then brings or makes the right bytes."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from project import run
from systems import posix
from tiny_dvc import JOINED, A, cached, clone_of, dvc, flip, folder_list, runs, stored

from diffaug.commands.doctor import doctor
from diffaug.runtime.errors import UserError


def test_a_flipped_byte_in_the_workspace_that_dvc_overlooks(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert dvc(project, "status", "-q") == 0
    flip(project / "data/a.txt")
    assert dvc(project, "status", "-q") == 0  # DVC looks at size and time only
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert "workspace: data/a.txt differs from dvc.lock\n" in said
    assert said.endswith("next: dvc checkout\n")
    assert dvc(project, "checkout", "-q") == 0
    assert (project / "data/a.txt").read_bytes() == b"a" * 100
    assert doctor(remove=False, asked=None)


def test_a_corrupt_object_of_the_cache_is_pulled_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flip(cached(project, A))
    shutil.rmtree(project / "data")
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert f"cache: data/a.txt is corrupt: {cached(project, A)}\n" in said
    assert said.endswith("next: dvc pull\n")
    assert dvc(project, "pull", "-q") == 0
    assert (project / "data/a.txt").read_bytes() == cached(project, A).read_bytes() == b"a" * 100
    assert doctor(remove=False, asked=None)


def test_a_corrupt_object_of_the_cache_is_replaced_by_the_good_file(project: Path) -> None:
    names = (A, JOINED, folder_list(project))
    before = [cached(project, md5).read_bytes() for md5 in names]
    for md5 in names:
        flip(cached(project, md5))
    shutil.rmtree(project.parent / "diffaug-storage")
    assert not doctor(remove=True, asked=None)
    assert [cached(project, md5).read_bytes() for md5 in names] == before
    assert dvc(project, "repro", "-q") == 0
    assert runs(project) == 1  # nothing has to run
    assert dvc(project, "push", "-q") == 0
    assert doctor(remove=False, asked=None)


def test_without_a_good_copy_the_stage_runs_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    flip(cached(project, A))
    shutil.rmtree(project / "data")
    assert dvc(project, "repro", "-q", "make") == 0
    assert (project / "data/a.txt").read_bytes() != b"a" * 100 and runs(project) == 1  # DVC's run cache brings it back
    shutil.rmtree(project / "data")
    shutil.rmtree(project.parent / "diffaug-storage")
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert "no copy is good of outs of: make; these stages have to run again, unless another clone can push" in said
    assert said.endswith("\nnext: dvc repro make\n")
    assert dvc(project, "repro", "-q", "make") == 0
    assert runs(project) == 2
    assert (project / "data/a.txt").read_bytes() == cached(project, A).read_bytes() == b"a" * 100
    assert dvc(project, "repro", "-q") == 0 and dvc(project, "push", "-q") == 0
    assert doctor(remove=False, asked=None)


def test_the_last_copy_is_kept_and_dvc_sees_that_it_is_bad(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert dvc(project, "status", "-q") == 0
    for path in (project / "joined.txt", cached(project, JOINED), stored(project, JOINED)):
        flip(path)
    bad = (project / "joined.txt").read_bytes()
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert "kept: joined.txt, of which DVC has no good copy\n" in said
    assert (project / "joined.txt").read_bytes() == bad
    assert said.endswith("next: dvc repro join\nnext: dvc push\n")
    assert dvc(project, "repro", "-q", "join") == 0 and dvc(project, "push", "-q") == 0
    assert (project / "joined.txt").read_bytes() == stored(project, JOINED).read_bytes() == b"a" * 100 + b"b" * 100
    assert doctor(remove=False, asked=None)


def test_dvc_pull_fails_on_a_flipped_byte_in_a_folder_remote(project: Path) -> None:
    """`verify = true` of .dvc/config: without it DVC pulls the byte and says that all is up to date."""
    flip(stored(project, A))
    run(project.parent, "git", "clone", "-q", str(project), "clone")
    assert dvc(project.parent / "clone", "pull", "-q") != 0
    assert not (project.parent / "clone/data/a.txt").exists()


def test_a_corrupt_object_of_the_remote_is_pushed_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Also from another clone, whose own index says that it is on the remote."""
    other = clone_of(project)
    assert dvc(other, "push", "-q") == 0
    for md5 in (A, JOINED):
        flip(stored(project, md5))
    shutil.rmtree(project / "data")
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert f"remote storage: data/a.txt is corrupt: {stored(project, A)}\n" in said
    assert "2 of the remote, and there the lists of 1 folders" in said
    assert said.endswith("next: dvc checkout\nnext: dvc push\n")
    assert dvc(other, "push", "-q") == 0
    assert stored(project, A).read_bytes() == b"a" * 100
    assert stored(project, JOINED).read_bytes() == b"a" * 100 + b"b" * 100
    assert dvc(project, "checkout", "-q") == 0
    assert doctor(remove=False, asked=None)


def test_a_file_that_the_remote_lost_is_pushed_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stored(project, A).unlink()
    assert dvc(project, "push", "-q") == 0
    assert not stored(project, A).exists()  # DVC takes the list of the folder as proof
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert "remote storage: data/a.txt is missing, though its folder's list is there" in said
    assert dvc(project, "push", "-q") == 0
    assert stored(project, A).read_bytes() == b"a" * 100
    assert doctor(remove=False, asked=None)


def test_the_list_of_another_version_is_kept_when_it_is_removed_from_the_remote(project: Path) -> None:
    """The remote has a list that no clone has but that names the corrupt object."""
    content = json.dumps([{"md5": A, "relpath": "other.txt"}]).encode()
    md5 = f"{hashlib.md5(content).hexdigest()}.dir"
    stored(project, md5).parent.mkdir(exist_ok=True)
    stored(project, md5).write_bytes(content)
    flip(stored(project, A))
    assert not doctor(remove=True, asked=None)
    assert not stored(project, md5).exists()
    assert cached(project, md5).read_bytes() == content


def test_an_object_of_another_version_is_checked_too(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "make.py").write_text((project / "make.py").read_text().replace('"a" * 100', '"c" * 100'))
    assert dvc(project, "repro", "-q") == 0 and dvc(project, "push", "-q") == 0
    flip(cached(project, A))
    assert not doctor(remove=True, asked=None)
    assert f"cache: an object of another version is corrupt: {cached(project, A)}\n" in capfd.readouterr().out
    assert not cached(project, A).exists()
    run(project, "git", "checkout", "-q", "make.py", "dvc.lock")
    assert dvc(project, "pull", "-q") == 0
    assert (project / "data/a.txt").read_bytes() == b"a" * 100


@pytest.mark.parametrize("link", [pytest.param("symlink", marks=posix), "hardlink"])
def test_a_workspace_of_links_to_the_cache(project: Path, link: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The damaged object and the damaged file are the same bytes on the disk."""
    assert dvc(project, "config", "--local", "cache.type", link) == 0
    assert dvc(project, "checkout", "-q", "--relink") == 0
    for md5 in (A, JOINED):
        flip(cached(project, md5))
    stored(project, JOINED).unlink()
    assert not doctor(remove=True, asked=None)
    said = capfd.readouterr().out
    assert "removed: 1 files here, 2 objects of the cache, 0 of the remote" in said
    assert said.endswith("next: dvc pull make\nnext: dvc repro join\n")
    assert not cached(project, JOINED).exists()
    assert dvc(project, "pull", "-q", "make") == 0 and dvc(project, "repro", "-q", "join") == 0
    assert (project / "data/a.txt").read_bytes() == cached(project, A).read_bytes() == b"a" * 100
    assert (project / "joined.txt").read_bytes() == cached(project, JOINED).read_bytes() == b"a" * 100 + b"b" * 100


def test_objects_that_the_cache_lacks_are_copied_from_the_workspace(project: Path) -> None:
    shutil.rmtree(project / ".dvc/cache")
    assert doctor(remove=True, asked=None)
    assert dvc(project, "repro", "-q") == 0
    assert runs(project) == 1


def test_an_edited_metric_is_made_again(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "metric.json").write_text("{1}")
    assert not doctor(remove=True, asked=None)
    assert capfd.readouterr().out.endswith("next: dvc repro join\n")
    assert dvc(project, "repro", "-q") == 0
    assert (project / "metric.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"md5": A, "relpath": "../../victim.txt"},
            r"names '\.\./\.\./victim\.txt', which is no file below its folder",
        ),
        ({"md5": A, "relpath": "/etc/victim.txt"}, "names '/etc/victim.txt', which is no file"),
        (
            {"md5": "../../../victim", "relpath": "a.txt"},
            r"names 'a\.txt', which is no file below its folder",
        ),
        ({"relpath": "a.txt"}, "which is no file below its folder with an MD5|not a list of files"),
        (1, "not a list of files"),
    ],
)
@pytest.mark.parametrize("place", ["cache", "remote"])
def test_a_list_that_leads_out_of_its_folder_removes_nothing(
    project: Path, place: str, entry: object, words: str
) -> None:
    victim = project.parent / "victim.txt"
    victim.write_text("mine")
    content = json.dumps([entry]).encode()
    name = f"{hashlib.md5(content).hexdigest()}.dir"
    path = (cached if place == "cache" else stored)(project, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text().replace(folder_list_before(project, name), name))
    if place == "cache":
        with pytest.raises(UserError, match=words):
            doctor(remove=True, asked=None)
    else:
        assert not doctor(remove=True, asked=None)
    assert victim.read_text() == "mine"


def folder_list_before(project: Path, name: str) -> str:
    """The name of the honest list."""
    found = [path.parent.name + path.name for path in (project / ".dvc/cache/files/md5").rglob("*.dir")]
    return next(one for one in found if one != name)
