"""The code uses nothing that Windows lacks, and the two commands need only Python."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from paths import ROOT

# Modules, functions, arguments and signals that only POSIX has.
MODULES = {"resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}
NAMES = {
    *("fork", "forkpty", "killpg", "getpgid", "setsid", "setpgid", "getuid", "geteuid", "getgid", "chown", "mkfifo"),
    *("getpgrp", "sched_getaffinity", "uname", "nice", "wait4", "getrusage"),
    *("symlink", "symlink_to", "preexec_fn", "start_new_session", "SIGKILL", "SIGALRM", "SIGHUP", "SIGUSR1"),
}
SOURCES = sorted([*(ROOT / "diffaug").rglob("*.py"), *(ROOT / "stages").glob("*.py"), ROOT / "run.py"])

TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.name not in ("systems.py", "test_systems.py"))


def posix_only(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                found += [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
            case ast.ImportFrom():
                found += [node.module] if node.module in MODULES else []
                found += [alias.name for alias in node.names if alias.name in NAMES]
            case ast.Attribute():
                found += [node.attr] if node.attr in NAMES else []
            case ast.keyword():
                found += [node.arg] if node.arg in NAMES else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_asked_for_that_only_posix_has(path: Path) -> None:
    assert posix_only(path.read_text(encoding="utf-8")) == []


def test_such_calls_would_be_found() -> None:
    source = "import resource\nfrom fcntl import flock\nfrom os import fork\nos.killpg(1)\nrun(preexec_fn=None)\n"
    assert sorted(posix_only(source)) == ["fcntl", "fork", "killpg", "preexec_fn", "resource"]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tests_that_need_posix_say_so(path: Path) -> None:
    """With a mark of tests/helpers/systems.py; and they can be imported everywhere, so that the others run."""
    source = path.read_text(encoding="utf-8")
    assert not posix_only(source) or "from systems import" in source
    assert "os.name" not in source and "sys.platform" not in source, "take the mark of tests/helpers/systems.py"
    assert posix_only(ast.unparse(_AtImport().visit(ast.parse(source)))) == []


class _AtImport(ast.NodeTransformer):
    """What runs when a module is imported: all but the bodies of functions."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = [ast.Pass()]
        return node


def test_a_name_that_is_missed_at_import_would_be_found() -> None:
    source = "import signal\n@mark([signal.SIGKILL])\ndef test() -> None:\n    signal.SIGHUP\n"
    assert posix_only(ast.unparse(_AtImport().visit(ast.parse(source)))) == ["SIGKILL"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py on an empty project; its steps are recorded instead of executed."""
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    bin = tmp_path / ".venv/bin"
    bin.mkdir(parents=True)
    (bin / "python").touch()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", bin / "python")
    monkeypatch.setattr(module.venv, "create", lambda folder, **options: None)
    module.done = []
    monkeypatch.setattr(module, "run", lambda *command: module.done.append(command[1:]))
    return module


def steps(run: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[tuple[str, ...]]:
    run.done.clear()
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    run.main()
    return list(run.done)


def test_without_a_word_it_runs_the_pipeline(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = steps(run, monkeypatch)[:2]
    assert [command[-1] for command in installed] == ["requirements.lock", "."]
    again = steps(run, monkeypatch)  # already set up
    assert again == [("-m", "diffaug.commands.main", "check"), ("-m", "dvc", "repro"), again[-1]]
    assert again[-1] == ("-m", "diffaug.commands.main", "verdict")


def test_another_lock_file_is_installed(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(run, monkeypatch, "setup")
    assert steps(run, monkeypatch, "setup") == []
    (run.ROOT / "requirements.lock").write_text("other")
    assert len(steps(run, monkeypatch, "setup")) == 2


def test_another_build_of_pytorch_is_installed_and_remembered(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = ["nvidia-cublas==13.4 ; sys_platform == 'linux'", "nvidia-ml-py==13.6", "torch==2.15.0", "torchmetrics==1.9"]
    (run.ROOT / "requirements.lock").write_text("\n".join([*lock, "torchvision==0.29.2", "triton==3.9.0"]))
    rest, torch, _ = steps(run, monkeypatch, "setup", "cpu")  # a new environment
    assert Path(rest[-1]).read_text().split() == ["nvidia-ml-py==13.6", "torchmetrics==1.9"]
    assert torch[-4:] == ("--index-url", "https://download.pytorch.org/whl/cpu", "torch==2.15.0", "torchvision==0.29.2")
    assert steps(run, monkeypatch, "setup") == []
    (run.ROOT / "pyproject.toml").write_text("other")
    assert steps(run, monkeypatch, "setup")[1] == torch
    removed, _, mirrored, _ = steps(run, monkeypatch, "setup", "https://mirror/whl/cpu")
    assert removed == ("-m", "pip", "uninstall", "--quiet", "--yes", "torch", "torchvision")
    assert "https://mirror/whl/cpu" in mirrored
    (run.VENV / "wheels").unlink()  # back to the lock file's build
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(run, "run", lambda *command: (_ for _ in ()).throw(KeyboardInterrupt))
        steps(run, stopped, "setup")
    assert steps(run, monkeypatch, "setup")[0] == removed
    with pytest.raises(SystemExit, match=r"setup: found 'gpu'; allowed is cpu, a CUDA such as cu130, or the address"):
        steps(run, monkeypatch, "setup", "gpu")


def test_more_words_go_to_a_command_of_one_step(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert steps(run, monkeypatch, "test", "-k", "boxes")[-1] == (
        *("-m", "pytest", "-m", "not long", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"),
        *("-k", "boxes"),
    )
    with pytest.raises(SystemExit, match="repro takes no further words, found '-f'"):
        steps(run, monkeypatch, "repro", "-f")


def test_an_environment_that_cannot_be_made_is_one_line(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(folder: Path, **options: bool) -> None:
        raise subprocess.CalledProcessError(1, "ensurepip")

    monkeypatch.setattr(run.venv, "create", fails)
    with pytest.raises(SystemExit, match=r"cannot be made .*apt install python3-venv"):
        steps(run, monkeypatch, "setup")


def test_an_unknown_command_names_those_there_are() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "fly"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "run.py: found 'fly'; allowed are repro, preset, study, test, test-quick, lint, setup"
    )


def test_help_is_no_error() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "python3 run.py test-quick" in done.stdout
