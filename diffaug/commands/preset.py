"""`diffaug preset`: a copy of the project with a preset laid over params.yaml, in which the pipeline runs apart."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from diffaug.commands.use import lay_over
from diffaug.runtime.errors import UserError
from diffaug.runtime.processes import run_to_its_end
from diffaug.runtime.work import hold, work_folder

_COPIED = ("diffaug", "stages", "prompts", "pretrained", "dvc.yaml", ".dvcignore")
_OWN = "data/own"
# Values of these keys are paths; others are only if they have a slash.
_PATHS = ("path", "weights")
# Paths that the pipeline writes itself, in the copy too; prompts are copied and must be named below prompts/.
_MADE = {("models", one) for one in ("generator", "cls", "det")}
_MADE |= {("data", one) for one in ("real", "pool", "generated", "filtered", "merged")}


def prepare(name: str, root: Path = Path()) -> Path:
    """Make or renew the folder of the preset, and return it: `name` is a file, or the name of one in presets/.

    The project's params.yaml, data, models and metrics stay as they are; the folder shares its DVC cache. Raises
    UserError if there is no such preset, or params.yaml with it is not valid.
    """
    preset = find_preset(name, root)
    text, _ = lay_over(root / "params.yaml", preset, [], lambda content: _absolute(content, "", root.resolve()))
    folder = work_folder("presets") / preset.stem
    for one in _COPIED:
        source, target = root / one, folder / one
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    shutil.rmtree(folder / _OWN, ignore_errors=True)
    if (root / _OWN).is_dir():  # the user's pictures with captions
        shutil.copytree(root / _OWN, folder / _OWN)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    _make_repository(folder, root)
    return folder


def run_preset(name: str, stage: str | None = None) -> str:
    """Prepare the folder, check its parameters, run the pipeline in it and print the verdict; says where the page is.
    With a stage, run only this one and those before it. Another run of the same preset is waited for. The process ends
    with the status of a step that fails."""
    lock = work_folder("presets") / f"{find_preset(name).stem}.lock"
    with hold(lock):  # a second run would replace the code below the first one
        folder = prepare(name)
        diffaug = [sys.executable, "-m", "diffaug.commands.main"]
        repro = [sys.executable, "-m", "dvc", "repro"]
        steps = [repro, [*diffaug, "verdict"]] if stage is None else [[*repro, stage]]
        for command in ([*diffaug, "check"], *steps):
            if status := run_to_its_end(command, environment(folder), folder):
                sys.exit(status)
    if stage is not None:
        return f"{folder}: the folder of this run, with what {stage} made"
    return f"{folder / 'metrics/report.html'}: the page of this run; params.yaml and its results are as they were"


def environment(folder: Path) -> dict[str, str]:
    """The environment variables with which the pipeline runs in the folder: its own code, its own work folder, and this
    interpreter, which the stages of dvc.yaml call `python`."""
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder.resolve()), os.environ.get("PYTHONPATH")])),
        "DIFFAUG_WORK": str(folder.resolve() / ".work"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def find_preset(name: str, root: Path = Path()) -> Path:
    """The file: `name` is its path, or its name in presets/. Raises UserError if there is none."""
    known = sorted(path.stem for path in (root / "presets").glob("*.yaml"))
    preset = Path(name) if name.endswith((".yaml", ".yml")) else root / "presets" / f"{name}.yaml"
    if not preset.is_file():
        raise UserError(f"no preset {name!r}; give the path of a .yaml file, or one of {', '.join(known)}")
    return preset


def _absolute(content: Any, key: str, root: Path) -> Any:
    """The parameters, with relative paths of the user's own files made absolute: the copy lies elsewhere."""
    if isinstance(content, dict):
        for name, value in content.items():
            content[name] = _absolute(value, str(name), root)
    elif isinstance(content, list):
        content[:] = [_absolute(value, key, root) for value in content]
    elif isinstance(content, str) and (key in _PATHS or "/" in content) and _is_own(Path(content), root):
        return (root / content).as_posix()
    return content


def _is_own(path: Path, root: Path) -> bool:
    """Whether it is a relative path of a file or folder that the user has put there."""
    copied = path.parts[:1] in (("prompts",), ("pretrained",))
    made = path.parts[:2] in _MADE
    return not path.is_absolute() and not copied and not made and (root / path).exists()


def _make_repository(folder: Path, root: Path) -> None:
    """A DVC repository without Git, so that it needs no commit, on the project's cache."""
    (folder / ".dvc").mkdir(exist_ok=True)
    asked = [sys.executable, "-m", "dvc", "cache", "dir"]
    answer = subprocess.run(asked, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    cache = (root / (answer.stdout.strip() or ".dvc/cache")).resolve().as_posix()
    (folder / ".dvc/config").write_text(
        f"[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n[cache]\n    dir = '{cache}'\n",
        encoding="utf-8",
    )
