"""Run every command of docs/walk-through.md in a clone of the project, and renew the pictures that it shows.

At the repository's root: python docs/walk_through.py [FOLDER]
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/walk-through.md"
SHOWN = "walk-through"
GIVEN = {"sketch.png", "story.txt"}  # what the commands start from
# Where a command leaves what the page shows, if it is not at the page's own path.
PLACES = {"samples.png": ".work/presets/clothes_lora/models/generator/samples.png"}


def blocks(text: str) -> list[tuple[str, str]]:
    """The page's code, as (language, text)."""
    return re.findall(r"^```(sh|python)\n(.*?)^```", text, re.M | re.S)


def pictures(text: str) -> list[str]:
    """What the page shows, by its paths below the folder of the pictures."""
    return re.findall(rf"\]\({SHOWN}/([^)]+)\)", text)


def commands(text: str) -> list[list[str]]:
    """Every command, in order; code in Python is one."""
    found: list[list[str]] = []
    for language, code in blocks(text):
        if language == "python":
            found.append([sys.executable, "-c", code])
        else:
            found += [_command(line) for line in code.replace("\\\n", " ").splitlines() if line.strip()]
    return found


def _command(line: str) -> list[str]:
    program, *arguments = shlex.split(line, comments=True)
    module = {"diffaug": "diffaug.commands.main", "dvc": "dvc"}[program]
    return [sys.executable, "-m", module, *arguments]


def run(folder: Path) -> None:
    """Run the page in a clone below the folder, and copy its pictures back."""
    project = folder / "diffaug"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    environment = {key: value for key, value in os.environ.items() if key != "DIFFAUG_WORK"}
    environment["PYTHONPATH"] = str(project)
    text = PAGE.read_text(encoding="utf-8")
    for command in commands(text):
        start = time.monotonic()
        subprocess.run(command, cwd=project, env=environment, check=True)
        print(f"{time.monotonic() - start:.0f} s: {' '.join(command[1:])[:100]}", flush=True)
    for name in set(pictures(text)) - GIVEN:
        (PAGE.parent / SHOWN / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / PLACES.get(name, name), PAGE.parent / SHOWN / name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temporary:
            run(Path(temporary))
