"""Trains models side by side: the one that a stage is for, and its siblings, which the next stages take when it is
their turn.

DVC runs one stage after another. So the first training stage of an arm starts the trainings of all seeds and of both
tasks, each in a process of its own.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from diffaug.params import Params
from diffaug.runtime import cores, processes
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path, replace_folder, sweep
from diffaug.runtime.memory import PeakMemory
from diffaug.runtime.seals import seal
from diffaug.runtime.shortage import memory_in_words
from diffaug.runtime.tables import write_table
from diffaug.training.finished import Finished, Training

FOLDER = "DIFFAUG_TRAINING"  # environment variable of a child: the folder of its training in the work cache
_STEP = "finished steps: "
_POLL_SECONDS = 0.2


def obtain(training: Training, params: Params, work: Path) -> Mapping[str, float]:
    """Put the trained model into models/. It is trained first, side by side with its siblings, unless it lies in the
    work cache. Returns what the last run of its training took. Raises UserError if it fails; a sibling that fails says
    so in its own stage."""
    if getattr(params.download, training.task) is None:
        replace_folder(training.target, seal)
        write_table(training.curve, ["step"], [])
        return {"steps": 0}
    finished = Finished.of(training, params)
    if not finished.exists:
        slots = cores.side_by_side(params.jobs)
        others = _due(_siblings(training, params), params) if slots > 1 else {}
        _train({training: finished, **others}, params, slots)
        for one in (finished, *others.values()):
            one.make_room()
    return finished.take(training)


def _siblings(training: Training, params: Params) -> list[Training]:
    """The other trainings of the arm that params.yaml names, those that take longest first."""
    tasks = [task for task in ("det", "cls") if getattr(params.download, task) is not None]
    named = [Training(task, training.arm, seed) for task in tasks for seed in params.seeds]
    return [one for one in named if one != training]


def _due(trainings: Sequence[Training], params: Params) -> dict[Training, Finished]:
    """Those of the trainings that are not finished, and that DVC would run: not those whose model is only not here."""
    missing = {}
    for one in trainings:
        try:
            finished = Finished.of(one, params)
        except UserError:  # its data are not there; its own stage says so
            continue
        if not finished.exists:
            missing[one] = finished
    if not missing:
        return {}
    command = [sys.executable, "-m", "dvc", "status", "--json", *(one.stage for one in missing)]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    if answer.returncode:
        print("note: `dvc status` fails here, so no other model is trained side by side")
        return {}
    changes = json.loads(answer.stdout or "{}")
    due = {stage for stage, reasons in changes.items() if any(map(_is_due, reasons))}
    return {one: finished for one, finished in missing.items() if one.stage in due}


def _is_due(reason: Any) -> bool:
    """Whether DVC would train a model for this reason of its status; what lies in its cache, it only puts back."""
    if not (isinstance(reason, dict) and reason.keys() == {"changed outs"}):
        return True
    return "not in cache" in reason["changed outs"].values()


def _train(wanted: Mapping[Training, Finished], params: Params, slots: int) -> None:
    """Run the trainings, at most `slots` at once, until all have ended. The first is the one that the stage is for: if
    it fails, the others are stopped, and go on from their checkpoints when it is their turn. The curves of all that run
    are shown in metrics/curves."""
    own = next(iter(wanted))
    waiting = list(wanted)
    running: dict[int, tuple[Training, processes.Child]] = {}
    steps = dict.fromkeys(wanted, 0)
    total = sum(getattr(params, f"train_{one.task}").steps for one in wanted)
    others = f" and {len(wanted) - 1} more" if len(wanted) > 1 else ""
    bar = tqdm(total=total, desc=f"{own.stage}{others}", unit="step", mininterval=1.0)
    try:
        while waiting or running:
            for place in sorted(set(range(slots)) - running.keys())[: len(waiting)]:
                one = waiting.pop(0)
                running[place] = one, _start(one, wanted[one], params, place, steps)
            time.sleep(_POLL_SECONDS)
            bar.update(sum(steps.values()) - bar.n)
            for one, _ in running.values():
                wanted[one].show_curve(one.curve)
            for place, (one, child) in list(running.items()):
                if child.running:
                    continue
                del running[place]
                if child.failed and one == own:
                    raise UserError(f"{child.last_words()} (finished work is kept; run `dvc repro` to go on)")
                if child.failed:
                    tqdm.write(f"{own.stage}: note: {one.stage} has ended early; its own stage will go on with it")
    finally:
        for _, child in running.values():
            child.stop()
        bar.close()


def _start(
    one: Training, finished: Finished, params: Params, place: int, steps: dict[Training, int]
) -> processes.Child:
    """A child that trains; it is given the parameters of the key, whatever becomes of params.yaml."""

    def hear(line: str) -> bool:
        mine = line.startswith(_STEP)
        if mine:
            steps[one] = int(line.removeprefix(_STEP))
        return mine

    finished.folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(finished.folder / "params.json") as temporary:
        temporary.write_text(params.model_dump_json(exclude_unset=True), encoding="utf-8")
    command = [sys.executable, f"stages/train_{one.task}.py", one.arm, str(one.seed)]
    return processes.Child(command, {**cores.environment(place), FOLDER: str(finished.folder)}, hear)


def tell_steps(finished: int) -> None:
    """Tell the stage how many steps this process has done."""
    print(f"{_STEP}{finished}", flush=True)


def train_as_child(training: Training, train: Callable[[Training, Params, Path, Path], int]) -> None:
    """The work of a child process: `train` gets the training, its parameters, its folder in the work cache and the
    folder for the model; it returns the number of steps. A UserError ends the process with its message."""
    processes.end_with_parent()
    finished = Finished(Path(os.environ[FOLDER]))
    with finished.lock():
        if finished.exists:  # another run has trained it meanwhile
            finished.clear()
            return
        sweep(finished.folder)
        params = Params.model_validate_json((finished.folder / "params.json").read_text(encoding="utf-8"))

        def write(model: Path) -> None:
            start = time.perf_counter()
            with PeakMemory() as memory, memory_in_words(training.name, params):
                steps = train(training, params, finished.folder, model)
            seconds = round(time.perf_counter() - start, 2)
            finished.write_speed({"seconds": seconds, "peak_memory_mib": memory.mebibytes, "steps": steps})

        try:
            replace_folder(finished.model, write)
        except (UserError, OSError) as error:
            sys.exit(processes.report_error(error))
        finished.clear()
