"""What draws the batches: this process, several processes on this machine, or the actors of a Ray cluster.

All engines fill the same work cache. The cut into batches, and so images and ids, do not depend on the engine.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.plan.jobs import Plan
from diffaug.generation.plan.plan import make_plan
from diffaug.params.generate import GenerateParams
from diffaug.runtime.cores import environment, side_by_side, threads
from diffaug.runtime.device import choose_device
from diffaug.runtime.errors import UserError
from diffaug.runtime.processes import Child, end_with_parent, is_child, last_words, report_error
from diffaug.runtime.shortage import lacks_memory, memory_in_words
from diffaug.segmenting.finding import find_for

_POLL_SECONDS = 1.0
_COPIES = 3  # a drawing process needs about this many times the memory of the model's weights
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
            return missing
        count = min(side_by_side(params.launch.processes, _COPIES * drawing.sampler.model.size), len(drawing.batches))
        if min(count, len(unfinished)) > 1:
            _processes(drawing, count, work, unfinished, bar.update)
        else:
            drawing.draw(unfinished, bar.update)
    return missing


def _processes(drawing: Drawing, count: int, work: Path, unfinished: dict, report: Callable) -> None:
    """One process per device, of which this is the first; process r takes every n-th batch. They exchange results only
    through the folder, so they need no port."""
    expected = [drawing.path(job) for jobs in unfinished.values() for job in jobs]
    work.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "diffaug.generation.drawing.engines", str(work)]
    children: list[Child] = []
    try:
        children.extend(
            Child(command, {"RANK": str(rank), "WORLD_SIZE": str(count), **environment(rank)})
            for rank in range(1, count)
        )
        with _counted(expected, report):
            drawing.draw(_share(unfinished, 0, count), lambda _: None)
            while any(child.running for child in children):
                time.sleep(_POLL_SECONDS)
    finally:
        for child in children:
            child.stop()
    failed = [child for child in children if child.failed]
    if failed or not all(path.exists() for path in expected):
        raise UserError(
            f"one of the {count} processes ended early; finished images are kept, run `dvc repro` to continue. Its "
            f"last message: {(failed or children)[0].last_words()}"
        )


def _share(unfinished: dict, rank: int, count: int) -> list[int]:
    """Every n-th of all batches, finished or not, so that the share of a rank is the same after a restart."""
    return [number for number in unfinished if number % count == rank]


@contextlib.contextmanager
def _counted(expected: Sequence[Path], report: Callable) -> Iterator[None]:
    """While entered, `report` gets how many of these files have appeared since the last time."""
    ended = threading.Event()

    def watch() -> None:
        absent = list(expected)
        while absent:
            last = ended.wait(_POLL_SECONDS)
            before, absent = len(absent), [path for path in absent if not path.exists()]
            report(before - len(absent))
            if last:
                return

    watcher = threading.Thread(target=watch, name="count", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


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
    drawing.release()  # the actors need its memory
    device = "cuda" if torch.cuda.is_available() else "cpu"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # RAY_ADDRESS names a cluster; without it, the actors run on this machine, and only this process can reach them.
    alone: dict[str, Any] = {} if "RAY_ADDRESS" in os.environ else {"_node_ip_address": "127.0.0.1"}
    ray.init(include_dashboard=False, log_to_driver=False, **alone)
    resources: dict[str, Any] = {"num_gpus": 1} if device == "cuda" else {"num_cpus": threads()}
    actor: Any = ray.remote(max_restarts=-1, max_task_retries=_ATTEMPTS, **resources)(_Actor)
    try:
        have = int(
            ray.cluster_resources().get("GPU" if device == "cuda" else "CPU", 0) // next(iter(resources.values()))
        )
        count = actors_of(params.launch.processes, have)
        actors = [actor.remote(params, drawing.plan.draws, str(Path.cwd()), str(work), threads()) for _ in range(count)]
        for drawn in ActorPool(actors).map_unordered(lambda a, number: a.draw.remote(number), numbers):
            report(drawn)
    except RayError as error:
        cause = getattr(error, "cause", None)
        if cause is not None and lacks_memory(cause):
            raise cause from None
        reason = str(getattr(error, "cause", None) or error).strip().splitlines()
        raise UserError(f"a Ray actor failed; finished images are kept. It said: {last_words(reason)}") from None
    finally:
        ray.shutdown()


def actors_of(wanted: int | None, have: int) -> int:
    """How many actors draw: as many as wanted, or as the cluster has devices for. Ray knows no GPU of Apple's, which
    all actors would share: there it is one. Raises UserError if there are fewer devices than wanted."""
    if have < (wanted or 1):
        raise UserError(
            f"params.yaml: generate.launch.processes: {wanted or 1}, but the Ray cluster has {have}; lower it"
        )
    return wanted or (1 if torch.backends.mps.is_available() else have)


class _Actor:
    """A Ray worker with its own open model."""

    def __init__(self, params: GenerateParams, draws: Sequence[int | None], root: str, work: str, threads: int) -> None:
        os.chdir(root)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # an image depends on it, and Ray has set its own number
        plan = make_plan(params, draws, find_for(params, Path(work)))
        self._drawing = Drawing(params, plan, Path(work).absolute(), choose_device())

    def draw(self, number: int) -> int:
        counts: list[int] = []
        self._drawing.draw([number], counts.append)
        return sum(counts)


def _worker(params: GenerateParams, plan: Plan, work: Path) -> None:
    rank, count = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    drawing = Drawing(params, plan, work, choose_device())
    drawing.draw(_share(drawing.unfinished(), rank, count), lambda _: None)


if __name__ == "__main__":
    from diffaug.params import load_params

    if is_child():
        end_with_parent()
    try:
        params = load_params()
        with memory_in_words("generate", params):
            work = Path(sys.argv[1])
            objects = find_for(params.generate, work)
            _worker(params.generate, make_plan(params.generate, params.image_draws, objects), work)
    except (UserError, OSError) as error:
        sys.exit(report_error(error))
