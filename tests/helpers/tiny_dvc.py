"""A DVC project of two small stages, run and pushed, for tests of what DVC stores."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from dvc.cli import main as dvc_main
from paths import ROOT
from project import run

MAKE = """from pathlib import Path
Path("data/sub").mkdir(parents=True)
Path("data/a.txt").write_text("a" * 100)
Path("data/sub/b.txt").write_text("b" * 100)
with Path("runs.log").open("a") as log:
    log.write("x")
"""
JOIN = """from pathlib import Path
Path("joined.txt").write_text(Path("data/a.txt").read_text() + Path("data/sub/b.txt").read_text())
Path("metric.json").write_text("{}")
"""
# The hashes of data/a.txt and joined.txt.
A = hashlib.md5(b"a" * 100).hexdigest()
JOINED = hashlib.md5(b"a" * 100 + b"b" * 100).hexdigest()
PIPELINE = """stages:
  make:
    cmd: '"{python}" make.py'
    deps: [make.py]
    outs: [data]
  join:
    cmd: '"{python}" join.py'
    deps: [join.py, data]
    outs: [joined.txt, metric.json: {{cache: false}}]
"""


def make_tiny(folder: Path) -> Path:
    """`folder`/project, with the project's own .dvc/config and its remote beside it."""
    project = folder / "project"
    (project / ".dvc").mkdir(parents=True)
    shutil.copy(ROOT / ".dvc/config", project / ".dvc/config")
    (project / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    for name, content in (("make.py", MAKE), ("join.py", JOIN), ("dvc.yaml", PIPELINE.format(python=sys.executable))):
        (project / name).write_text(content)
    (project / ".gitignore").write_text("/runs.log\n")
    run(project, "git", "init", "-q", "-b", "main")
    for command in (["repro", "-q"], ["push", "-q"]):
        assert dvc(project, *command) == 0
    run(project, "git", "add", "-A")
    run(project, "git", "commit", "-qm", "run")
    return project


def dvc(project: Path, *arguments: str) -> int:
    """Run DVC in this process, which saves its start; the exit status."""
    before = Path.cwd()
    os.chdir(project)
    try:
        return dvc_main(list(arguments))
    finally:
        os.chdir(before)


def flip(path: Path) -> None:
    """Change one byte, as a bad disk does: size, time and mode stay as they are."""
    status = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cached(project: Path, md5: str) -> Path:
    """Its object in the cache."""
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def stored(project: Path, md5: str) -> Path:
    """Its object on the remote."""
    return project.parent / "diffaug-storage/files/md5" / md5[:2] / md5[2:]


def folder_list(project: Path) -> str:
    """The name of the object that lists the files of data."""
    (path,) = (project / ".dvc/cache/files/md5").rglob("*.dir")
    return path.parent.name + path.name


def clone_of(project: Path) -> Path:
    """Another clone beside it, with all data pulled."""
    run(project.parent, "git", "clone", "-q", str(project), "clone")
    assert dvc(project.parent / "clone", "pull", "-q") == 0
    return project.parent / "clone"


def runs(project: Path) -> int:
    """How often the stage `make` has run."""
    return len((project / "runs.log").read_text())
