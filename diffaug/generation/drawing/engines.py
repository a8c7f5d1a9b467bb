"""What draws the batches: this process, several processes on this machine, or the actors of a Ray cluster.

All engines fill the same work cache. The cut into batches, and so images and ids, do not depend on the engine.
"""

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from tqdm import tqdm

from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.plan.jobs import Plan
from diffaug.generation.plan.plan import make_plan
from diffaug.params.generate import GenerateParams
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError

_POLL_SECONDS = 1.0
_MARK = "diffaug says: "
_PARENT = "DIFFAUG_PARENT"  # environment variable: the id of the process that waits for this one
_ATTEMPTS = 3  # the run ends after a batch has killed its actor this many times


def draw_all(drawing: Drawing, params: GenerateParams, work: Path) -> int:
    """Draw the images that are not in the cache, with the engine of the params; returns how many were drawn."""
    unfinished = drawing.unfinished()
    missing = sum(len(jobs) for jobs in unfinished.values())
    total = len(drawing.plan.drawn)
    if not missing:
        return 0
    with tqdm(total=total, initial=total - missing, desc="generate", unit="image", mininterval=1.0) as bar:
        if params.launch.engine == "ray":
            _ray(drawing, params, work, list(unfinished), bar.update)
        elif params.launch.processes > 1:
            _processes(drawing, params, work, unfinished, bar.update)
        else:
            drawing.draw(unfinished, bar.update)
    return missing


def _processes(drawing: Drawing, params: GenerateParams, work: Path, unfinished: dict, report: Callable) -> None:
    """One process per device, with the environment that torchrun and `accelerate launch` set; process r takes every
    n-th batch. They exchange results only through the folder, so they need no port."""
    expected = [drawing.path(job) for jobs in unfinished.values() for job in jobs]
    _make_room(drawing)
    work.mkdir(parents=True, exist_ok=True)
    count = params.launch.processes
    logs = [work / f"process-{rank}.log" for rank in range(count)]
    processes = [_start(rank, count, work, log) for rank, log in enumerate(logs)]
    finished = 0
    try:
        while any(process.poll() is None for process in processes) or finished < len(expected):
            ended = all(process.poll() is not None for process in processes)
            now = sum(path.exists() for path in expected)
            report(now - finished)
            finished = now
            if ended:
                break
            time.sleep(_POLL_SECONDS)
    except BaseException:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        raise
    failed = [log for log, process in zip(logs, processes) if process.returncode] or logs
    if finished < len(expected) or any(process.returncode for process in processes):
        said = failed[0].read_text(encoding="utf-8", errors="replace").splitlines()
        raise UserError(
            f"one of the {count} processes ended early; finished images are kept, run `dvc repro` to continue. Its "
            f"last message: {_last_words(said)}"
        )


def _start(rank: int, count: int, work: Path, log: Path) -> subprocess.Popen:
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), _PARENT: str(os.getpid())}
    # The same number of threads as in a single process, since it changes the rounding of a CPU's sums; passive waiting.
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("w", encoding="utf-8") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "diffaug.generation.drawing.engines", str(work)],
            env={**os.environ, **own, **threads},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _ray(drawing: Drawing, params: GenerateParams, work: Path, numbers: list[int], report: Callable) -> None:
    """One actor per device; a killed actor is restarted with its batch. It returns a count of images, not pixels."""
    try:
        import ray
        from ray.exceptions import RayError
        from ray.util import ActorPool
    except ImportError:
        raise UserError(
            "params.yaml: generate.launch.engine: ray is not installed; run `.venv/bin/pip install 'ray>=2.50'`"
        ) from None
    _make_room(drawing)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # RAY_ADDRESS names a cluster; without it, the actors run on this machine, and only this process can reach them.
    alone: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"_node_ip_address": "127.0.0.1"}
    ray.init(include_dashboard=False, log_to_driver=False, **alone)
    resources: dict[str, Any] = {"num_gpus": 1} if device == "cuda" else {"num_cpus": 1}
    actor: Any = ray.remote(max_restarts=-1, max_task_retries=_ATTEMPTS, **resources)(_Actor)
    try:
        have = int(ray.cluster_resources().get("GPU" if device == "cuda" else "CPU", 0))
        if have < params.launch.processes:
            raise UserError(
                f"params.yaml: generate.launch.processes: {params.launch.processes}, but the Ray cluster "
                f"has {have}; lower it"
            )
        actors = [
            actor.remote(params, str(Path.cwd()), str(work), torch.get_num_threads())
            for _ in range(params.launch.processes)
        ]
        for count in ActorPool(actors).map_unordered(lambda a, number: a.draw.remote(number), numbers):
            report(count)
    except RayError as error:
        reason = str(getattr(error, "cause", None) or error).strip().splitlines()
        raise UserError(f"a Ray actor failed; finished images are kept. It said: {_last_words(reason)}") from None
    finally:
        ray.shutdown()


class _Actor:
    """A Ray worker with its own open model."""

    def __init__(self, params: GenerateParams, root: str, work: str, threads: int) -> None:
        os.chdir(root)
        torch.set_num_threads(threads)  # as in a single process: their number changes the rounding of a CPU's sums
        self._drawing = Drawing(params, make_plan(params), Path(work).absolute(), choose_device())

    def draw(self, number: int) -> int:
        counts: list[int] = []
        self._drawing.draw([number], counts.append)
        return sum(counts)


def _make_room(drawing: Drawing) -> None:
    """Release the model's memory for the processes that draw."""
    drawing.sampler.release()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _end_with(parent: int) -> None:
    """End this process when its parent ends, so that no orphan continues after the stage was killed."""

    def watch() -> None:
        # On POSIX an orphan gets another parent at once; on Windows the number of the old one is no process any more.
        while os.getppid() == parent and psutil.pid_exists(parent):
            time.sleep(_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _last_words(lines: list[str]) -> str:
    """Our own message if there is one, otherwise the last line that names an error."""
    own = [line.partition(_MARK)[2] for line in lines if _MARK in line]
    told = own or [line for line in lines if "Error" in line] or [line for line in lines if line.strip()]
    return told[-1].strip()[:600] if told else "nothing"


def _worker(params: GenerateParams, plan: Plan, work: Path) -> None:
    rank, local, count = (int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
    if torch.cuda.is_available():
        torch.cuda.set_device(local)
    drawing = Drawing(params, plan, work, choose_device())
    # Every n-th of all batches, finished or not, so that the share of a rank is the same after a restart.
    mine = [number for number in drawing.unfinished() if number % count == rank]
    drawing.draw(mine, lambda _: None)


if __name__ == "__main__":
    from diffaug.params import load_params

    if _PARENT in os.environ:
        _end_with(int(os.environ[_PARENT]))
    try:
        settings = load_params().generate
        _worker(settings, make_plan(settings), Path(sys.argv[1]))
    except UserError as error:
        sys.exit(f"{_MARK}{error}")
