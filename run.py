"""The project's commands on Linux, macOS and Windows, with nothing but Python's standard library.

python3 run.py                  set up, check params.yaml, run the pipeline, print the verdict
python3 run.py --preset quick   the same with presets/quick.yaml laid over params.yaml, in a folder of its own
python3 run.py test             set up, run the tests; the longest are run by `python3 run.py test -m long`
python3 run.py test-quick       the tests that train nothing
python3 run.py study            every recipe of params.yaml, as DVC experiments
python3 run.py lint             ruff and mypy
python3 run.py setup            make .venv with the packages of requirements.lock (every command does it first)
python3 run.py setup cpu        with PyTorch's build for the CPU (2 GB in place of 8); cu126, cu130, ...: for that CUDA;
                                or the address of an index of wheels. It is remembered (see docs/install.md)
"""

import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

COMMANDS = {
    "repro": [["diffaug.commands.main", "check"], ["dvc", "repro"], ["diffaug.commands.main", "verdict"]],
    "preset": [["diffaug.commands.main", "preset"]],
    "study": [["diffaug.commands.main", "study"]],
    # Two processes; the tests of one file stay in one, where they share what they make. In the order of the files: the
    # longest tests are in small files, which would come last otherwise.
    "test": [["pytest", "-m", "not long", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]],
    "test-quick": [["pytest", "-m", "not slow"]],
    "lint": [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    "setup": [],
}


def main() -> None:
    """Run one command; its exit status is that of the first step that fails."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python is given
        sys.exit(
            f"run.py: Python 3.11 or newer is needed, found {sys.version.split()[0]}; start it with another python"
        )
    name, *more = sys.argv[1:] or ["repro"]
    if name == "--preset":
        if len(more) != 1:
            sys.exit(f"run.py: --preset needs one name of presets/, such as quick; found {' '.join(more) or 'none'}")
        if not more[0].endswith((".yaml", ".yml")) and not (ROOT / "presets" / f"{more[0]}.yaml").is_file():
            known = ", ".join(sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
            sys.exit(f"run.py: --preset: found {more[0]!r}; allowed are {known}, or the path of a .yaml file")
        name = "preset"
    if name in ("-h", "--help"):
        print(__doc__)
        return
    if name not in COMMANDS:
        sys.exit(f"run.py: found {name!r}; allowed are {', '.join(COMMANDS)}\n\n{__doc__}")
    if name == "setup" and more:
        set_up(wheels(more))
        return
    if more and len(COMMANDS[name]) != 1:
        sys.exit(f"run.py: {name} takes no further words, found {' '.join(more)!r}; run dvc or diffaug with them")
    set_up()
    for step in COMMANDS[name]:
        run(str(PYTHON), "-m", *step, *more)


def wheels(words: list[str]) -> str:
    """The index of PyTorch's wheels that the words after setup name. Ends with a message if they name none."""
    if len(words) == 1 and re.fullmatch(r"cpu|cu\d{3}|rocm[\d.]+|xpu|https?://\S+", words[0]):
        return words[0] if words[0].startswith("http") else f"https://download.pytorch.org/whl/{words[0]}"
    allowed = "cpu, a CUDA such as cu130, or the address of an index"
    sys.exit(f"run.py: setup: found {' '.join(words)!r}; allowed is {allowed}")


def set_up(index: str | None = None) -> None:
    """Make the virtual environment, unless it is that of the present lock file and project file. index: of PyTorch's
    wheels, in place of the lock file's; without it, the one that was chosen before."""
    wanted = hashlib.sha256((ROOT / "requirements.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes())
    marker, chosen = VENV / "installed", VENV / "wheels"
    if index is None and chosen.exists():
        index = chosen.read_text(encoding="utf-8")
    mark = f"{wanted.hexdigest()} {index or ''}".strip()
    if marker.exists() and marker.read_text(encoding="utf-8") == mark:
        return
    try:
        venv.create(VENV, symlinks=os.name != "nt", with_pip=True)  # also completes one that was not finished
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"run.py: {VENV} cannot be made ({error}); on Debian and Ubuntu first run: apt install python3-venv")
    except KeyboardInterrupt:
        sys.exit("run.py: stopped; start it again to go on")
    other = marker.exists() and marker.read_text(encoding="utf-8").partition(" ")[2] != (index or "")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--quiet"]
    if other:  # pip takes 2.15.0 and 2.15.0+cu130 for the same version
        run(str(PYTHON), "-m", "pip", "uninstall", "--quiet", "--yes", "torch", "torchvision")
    marker.unlink(missing_ok=True)
    if index is None:
        print("Installing the packages of requirements.lock: about 8 GB, some minutes", flush=True)
        run(*pip, "--no-deps", "-r", "requirements.lock")
    else:
        print(f"Installing the packages of requirements.lock, PyTorch from {index}: some minutes", flush=True)
        chosen.write_text(index, encoding="utf-8")
        torch, rest = _apart((ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines())
        (VENV / "requirements.txt").write_text("\n".join(rest) + "\n", encoding="utf-8")
        run(*pip, "--no-deps", "-r", str(VENV / "requirements.txt"))
        run(*pip, "--index-url", index, *torch)
    run(*pip, "--no-deps", "--no-build-isolation", "-e", ".")
    marker.write_text(mark, encoding="utf-8")


def _apart(lines: list[str]) -> tuple[list[str], list[str]]:
    """PyTorch's own packages, and the others without the CUDA libraries that belong to the lock file's build."""
    torch = [line.split()[0] for line in lines if re.match(r"torch(vision)?==", line)]
    libraries = re.compile(r"(nvidia-(?!ml-py)[\w-]+|cuda-\w+|triton|torch|torchvision)==")
    return torch, [line for line in lines if not libraries.match(line)]


def run(*command: str) -> None:
    """Run a command in the project, with the programs of the virtual environment first. Ends where it fails."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {"PYTHONUTF8": "1", **os.environ, "PATH": path}  # names of files in every language
    process, stopped = subprocess.Popen(command, cwd=ROOT, env=environment), False
    while process.poll() is None:
        try:
            process.wait()
        except KeyboardInterrupt:
            stopped = True  # it has got Ctrl-C too, and closes what is open: to kill it would leave its stage alone
    if stopped:
        sys.exit("run.py: stopped; what is finished is kept, start it again to go on")
    if process.returncode:
        sys.exit(process.returncode)


if __name__ == "__main__":
    main()
