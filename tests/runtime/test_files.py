"""Files are complete or absent, and an error of the disk names the file."""

import errno
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from paths import ROOT
from systems import mounts

from diffaug.runtime.errors import in_words
from diffaug.runtime.files import atomic_path, replace_folder, sweep

WRITERS = {
    "bytes": "with atomic_path(out / 'image.png') as path: path.write_bytes(bytes(2**22))",
    "table": "write_table(out / 'ledger.csv', ['a'], [['x' * 100]] * 50_000)",
    "images": """
from diffaug.dataset.records import make_record, write_set
write_set(out / "train", ["cat"], [make_record(str(n), os.urandom(10_000), "train", label=0) for n in range(400)])
""",
    "checkpoint": """
from diffaug.runtime.checkpoint import save_checkpoint
import torch
network = torch.nn.Linear(1000, 1000)
save_checkpoint(out / "checkpoint.safetensors", {"net": network}, torch.optim.SGD(network.parameters()), {})
""",
    "classifier": """
import torchvision
from diffaug.classifier.network import save_classifier
from default_params import params
network = torchvision.models.resnet18()
replace_folder(out / "real-0", lambda place: save_classifier(place, network, params().train_cls, ("a",)))
""",
}


@mounts
@pytest.mark.parametrize("writer", list(WRITERS))
def test_a_full_disk_is_one_line_with_file_and_disk(tmp_path: Path, writer: str) -> None:
    """On a real disk of one MiB."""
    disk, script = tmp_path / "disk", tmp_path / "stage.py"
    disk.mkdir()
    head = f"""
        import os
        from pathlib import Path
        from diffaug.runtime.files import atomic_path, replace_folder
        from diffaug.runtime.tables import write_table
        from diffaug.stage import run_stage
        out = Path({str(disk)!r})
        def stage(params, work):
    """
    body = textwrap.indent(WRITERS[writer].strip() + "\nreturn {}", " " * 4)
    script.write_text(textwrap.dedent(head).rstrip() + "\n" + body + "\nrun_stage('merge', stage)\n")
    command = f"mount -t tmpfs -o size=1m none {disk} && exec {sys.executable} {script}"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests/helpers")))
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "DIFFAUG_WORK": str(tmp_path / "work")},
        capture_output=True,
        text=True,
        check=False,
    )
    file = {"bytes": "image.png", "table": "ledger.csv", "images": "train/part-00000.parquet"}.get(writer, "")
    file = file or {"checkpoint": "checkpoint.safetensors", "classifier": "real-0"}[writer]
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"merge: {disk / file}: No space left on device (")
    assert f"MiB are free on the disk of {disk}" in done.stderr
    assert done.stderr.endswith("; make room and run again: what is finished is kept\n")
    assert "Traceback" not in done.stderr


def test_an_error_without_a_file_gets_its_name(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, atomic_path(tmp_path / "out.bin"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    assert caught.value.filename == str(tmp_path / "out.bin")
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "out.bin"):
        (tmp_path / "nowhere").read_text()
    assert caught.value.filename == str(tmp_path / "nowhere")


def test_a_file_without_rights_is_not_called_damaged() -> None:
    said = in_words(PermissionError(errno.EACCES, "Permission denied", "data/real/cls/train/part-00000.parquet"))
    assert said == (
        "data/real/cls/train/part-00000.parquet: Permission denied; give yourself the right to read it, and to write "
        "in its folder, and run again"
    )


def test_what_dead_processes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with atomic_path(tmp_path / "sub/mine.png") as mine:
        mine.touch()
        left = mine.with_name(mine.name.replace(str(os.getpid()), str(dead.pid)))
        elsewhere = left.with_name(left.name.replace(f"{platform.node()}-", "another_machine-"))
        (tmp_path / "sub/.hidden.tmp").touch()
        for path in (left, elsewhere):
            path.touch()
        sweep(tmp_path)
        assert {path.name for path in (tmp_path / "sub").iterdir()} == {mine.name, elsewhere.name, ".hidden.tmp"}


def test_a_folder_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    replace_folder(tmp_path / "model", lambda place: (place / "weights").touch())

    def fails(place: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        replace_folder(tmp_path / "model", fails)
    assert caught.value.filename == str(tmp_path / "model")
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["weights"]
