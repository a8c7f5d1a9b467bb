"""Runs a stage script: checked parameters, a lock, one-line errors, a file with its speed and memory."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from diffaug.params import Params, load_params
from diffaug.runtime.errors import UserError, in_words, not_utf8
from diffaug.runtime.files import atomic_path, sweep
from diffaug.runtime.memory import PeakMemory
from diffaug.runtime.shortage import memory_in_words
from diffaug.runtime.start import STOPPED, interruptible
from diffaug.runtime.work import hold, work_folder
from diffaug.runtime.yaml_files import read_yaml

SPEED = Path("metrics/speed")
_CACHE = Path(".dvc/cache/files/md5")
_OUTPUTS = (Path("data"), Path("models"), Path("metrics"))


def run_stage(name: str, stage: Callable[[Params, Path], Mapping[str, float]]) -> None:
    """Run a stage in its work folder and write `metrics/speed/NAME.json`; a UserError ends it with one line and exit 1.

    `stage` takes the parameters and the work folder and returns counts such as {"images": 1200}, from which rates per
    second are computed; with "seconds" and "peak_memory_mib" among them, these stand in place of the measured ones (of
    work that was done before). If another process (an orphan of a killed run) uses the work folder, this one waits for
    it.
    """
    try:
        interruptible()
        params = load_params()
        work = work_folder(name)
        with hold(work.with_name(f"{name}.lock")):
            for folder in (work, work_folder("checked"), *_OUTPUTS):
                sweep(folder)
            start = time.perf_counter()
            with PeakMemory() as memory, memory_in_words(name, params):
                counts = stage(params, work)
            _write_speed(name, time.perf_counter() - start, memory.mebibytes, counts)
    except UserError as error:
        sys.exit(f"{name}: {error}{_kept(name)}")
    except OSError as error:
        sys.exit(f"{name}: {in_words(error)}")
    except UnicodeError as error:
        sys.exit(f"{name}: {not_utf8(error)}")
    except KeyboardInterrupt:
        sys.exit(f"{name}: {STOPPED}")


def _kept(name: str) -> str:
    """What to add to an error if DVC has removed the last results of this stage, and has them in its cache."""
    try:
        stages = read_yaml(Path("dvc.lock"))["stages"]
        outs = [
            (out["path"], out["md5"])
            for stage, locked in stages.items()
            if stage.partition("@")[0] in (name, f"{name}_merged")
            for out in locked.get("outs", ())
        ]
    except (OSError, UserError, KeyError, TypeError, AttributeError):
        return ""
    removed = [md5 for path, md5 in outs if not Path(path).exists()]
    kept = any((_CACHE / md5[:2] / md5[2:]).exists() for md5 in removed)
    return "; DVC has removed the last results of this stage: `dvc checkout` brings them back" if kept else ""


def _write_speed(name: str, seconds: float, mebibytes: int, counts: Mapping[str, float]) -> None:
    report: dict[str, float] = {"seconds": round(seconds, 2), "peak_memory_mib": mebibytes}
    for unit, count in counts.items():
        report[unit] = count
        if unit not in ("seconds", "peak_memory_mib"):
            report[f"{unit}_per_second"] = round(count / report["seconds"], 3) if report["seconds"] else 0.0
    with atomic_path(SPEED / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
