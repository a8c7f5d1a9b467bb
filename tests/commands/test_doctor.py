import json
import os
import shutil
from pathlib import Path

import pytest
from project import digest, run
from tiny_dvc import JOINED, A, cached, clone_of, dvc, flip, folder_list, stored

from diffaug.commands.doctor import doctor
from diffaug.runtime.errors import UserError


def test_a_sound_project(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert doctor(remove=False, asked=None)
    said = capfd.readouterr().out.splitlines()
    assert said[0] == "workspace: 4 files in dvc.lock: 0 differ, 0 missing; 0 additional"
    assert said[1].endswith(".dvc/cache/files/md5): 4 objects: 0 corrupt; of 4 in dvc.lock 0 missing")
    assert said[2].endswith("diffaug-storage): 4 objects in dvc.lock: 0 corrupt, 0 missing")
    assert len(said) == 3


def test_without_remove_nothing_changes(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clone_of(project)
    for path in (project / "data/a.txt", cached(project, A), stored(project, JOINED)):
        flip(path)
    before = [digest(project / "data"), digest(project / ".dvc/cache"), digest(project.parent / "diffaug-storage")]
    assert not doctor(remove=False, asked=None)
    assert [
        digest(project / "data"),
        digest(project / ".dvc/cache"),
        digest(project.parent / "diffaug-storage"),
    ] == before
    assert capfd.readouterr().out.endswith("next: diffaug doctor --remove\n")


def test_missing_and_additional_files(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "data/a.txt").unlink()
    (project / "data/mine.txt").write_text("mine")
    (project / "joined.txt").unlink()  # a whole out that is not there is not pulled: no fault
    assert not doctor(remove=False, asked=None)
    said = capfd.readouterr().out
    assert "workspace: 4 files in dvc.lock: 0 differ, 2 missing; 1 additional\n" in said
    assert "workspace: data/a.txt is missing\n" in said and "joined.txt is missing" not in said
    assert "workspace: data/mine.txt is not in dvc.lock; move it away, or `dvc checkout --force` removes it\n" in said
    assert said.endswith("next: move the files away that are not in dvc.lock\nnext: dvc checkout\n")
    assert not doctor(remove=True, asked=None)
    assert (project / "data/mine.txt").read_text() == "mine"


def test_data_that_was_not_pulled_is_no_fault(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(project.parent, "git", "clone", "-q", str(project), "clone")
    os.chdir(project.parent / "clone")
    assert doctor(remove=False, asked=None)
    said = capfd.readouterr().out
    assert "workspace: 4 files in dvc.lock: 0 differ, 3 missing; 0 additional\n" in said
    assert said.endswith("next: dvc pull\n")


def test_a_folder_whose_list_is_nowhere(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(project.parent, "git", "clone", "-q", str(project), "clone")
    os.chdir(project.parent / "clone")
    stored(project, folder_list(project)).unlink()
    assert not doctor(remove=False, asked=None)
    said = capfd.readouterr().out
    assert "not counted: the files of 1 folders whose list is not here: data/\n" in said
    assert (
        "no copy is good of outs of: make; these stages have to run again, unless another clone can push them\n" in said
    )


def test_data_that_was_never_pushed_is_a_fault(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(project.parent, "git", "clone", "-q", str(project), "clone")
    stored(project, JOINED).unlink()
    os.chdir(project.parent / "clone")
    assert not doctor(remove=False, asked=None)
    said = capfd.readouterr().out
    assert (
        "no copy is good of outs of: join; these stages have to run again, unless another clone can push them\n" in said
    )
    assert said.endswith("next: dvc pull make\nnext: dvc repro join\n")
    assert dvc(Path.cwd(), "pull", "-q", "make") == 0 and dvc(Path.cwd(), "repro", "-q") == 0
    assert Path("joined.txt").read_text() == "a" * 100 + "b" * 100


def test_a_preset_folder_without_git_and_remote(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = project / ".work/presets/quick"
    (folder / ".dvc").mkdir(parents=True)
    cache = (project / ".dvc/cache").as_posix()
    (folder / ".dvc/config").write_text(f"[core]\n    no_scm = true\n[cache]\n    dir = '{cache}'\n")
    for name in ("make.py", "join.py", "dvc.yaml"):
        shutil.copy(project / name, folder / name)
    os.chdir(folder)
    assert dvc(folder, "repro", "-q") == 0
    assert doctor(remove=False, asked=None)
    assert "remote: none is configured, so none was checked\n" in capfd.readouterr().out
    flip(cached(project, A))
    assert not doctor(remove=True, asked=None)
    assert cached(project, A).read_bytes() == b"a" * 100


def test_what_cannot_be_examined_is_one_line(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"--remote: found 'far'; allowed are storage$"):
        doctor(remove=False, asked="far")
    held = {"write": {str(project / "data"): {"pid": os.getppid(), "cmd": "dvc repro"}}, "read": {}}
    (project / ".dvc/tmp/rwlock").write_text(json.dumps(held))
    with pytest.raises(UserError, match=r"data' is busy, it is being blocked by: \(PID \d+\): dvc repro"):
        doctor(remove=False, asked=None)
    with (project / ".dvc/config").open("a") as config:
        config.write("    endpoint = http://127.0.0.1\n")
    with pytest.raises(UserError, match=r"extra keys not allowed @ data\['remote'\]\['storage'\]\['endpoint'\]"):
        doctor(remove=False, asked=None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="you are not inside of a DVC repository"):
        doctor(remove=False, asked=None)
