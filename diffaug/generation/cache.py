"""The work cache: every finished image, kept under a name that says all it was made of."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from diffaug.files import atomic_path
from diffaug.generation.plan import Job, batches
from diffaug.generation.sampler import Sampler
from diffaug.images import encode_png
from diffaug.records import ImageSet


@dataclass(frozen=True)
class WorkCache:
    """PNG files in `folder`, which is named by the hash of everything that all its images share."""

    folder: Path

    @classmethod
    def open(cls, root: Path, fingerprint: Mapping[str, str]) -> "WorkCache":
        """The cache below `root` for these settings."""
        return cls(root / _digest(dict(fingerprint))[:16])

    def path(self, job: Job, source_sha256: str | None) -> Path:
        """Where the job's image stands once it is finished."""
        return self.folder / f"{_digest({'job': asdict(job), 'source': source_sha256})[:32]}.png"


def _digest(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def draw_all(
    jobs: Sequence[Job], sampler: Sampler, train: ImageSet, cache: WorkCache, label: str
) -> tuple[dict[str, bytes], int]:
    """PNG bytes of every job by its id, and how many had to be drawn; what the cache holds is not drawn again.

    Batches are cut before the cache is asked, so a run that goes on draws the same batches as one that never stopped.
    """
    wanted = {job.source_id for job in jobs}
    sources = {record.id: record for record in train if record.id in wanted}
    paths = {job.id: cache.path(job, sources[job.source_id].sha256 if job.source_id else None) for job in jobs}
    finished = {id for id, path in paths.items() if path.exists()}
    with tqdm(total=len(jobs), initial=len(finished), desc=f"generate: {label}", unit="image") as bar:
        for batch in batches(jobs, sampler.batch_size):
            missing = [job for job in batch if job.id not in finished]
            if not missing:
                continue
            opened = {job.source_id: sources[job.source_id].open() for job in batch if job.source_id}
            images = sampler.draw(batch, opened)
            for job, image in zip(batch, images):
                if job.id not in finished:
                    _keep(paths[job.id], image)
            bar.update(len(missing))
    return {id: path.read_bytes() for id, path in paths.items()}, len(jobs) - len(finished)


def _keep(path: Path, image: Image.Image) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_png(image))
