"""Draw the synthetic images: reads models/generator and the real train sets, writes data/generated/{cls,det}.

Alone: python stages/generate.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from diffaug.device import choose_device
from diffaug.files import atomic_path
from diffaug.generation.cache import WorkCache, draw_all
from diffaug.generation.paste import compose, usual_sizes
from diffaug.generation.plan import Job, SceneJob, common_format, plan_cls, plan_items, plan_scenes
from diffaug.generation.sampler import Sampler, open_sampler
from diffaug.params import Params
from diffaug.records import SHARD_ROWS, Record, make_record, read_set, write_set
from diffaug.stage import run_stage

MODEL = Path("models/generator")


def generate(params: Params, work: Path) -> Mapping[str, float]:
    """Plan every image, draw what the work cache does not hold, write the sets."""
    cls, det = (read_set(Path(f"data/real/{task}/train")) for task in ("cls", "det"))
    jobs = plan_cls(params.generate, cls)
    item_format = common_format(cls) if len(cls) else ((64, 64), "RGB")
    items = plan_items(params.generate, det.names, *item_format)
    scenes = plan_scenes(params.generate, det, items)
    _write_plan(work / "plan.jsonl", [*jobs, *items, *scenes])

    sampler = open_sampler(MODEL, params.generate, choose_device())
    sampler.check_prompts([*jobs, *items], [*cls.names, *det.names])
    cache = WorkCache.open(work, sampler.fingerprint())
    images, drawn = draw_all(jobs, sampler, cls, cache, "classification images")
    objects, drawn_items = draw_all(items, sampler, cls, cache, "objects for scenes")

    records = [_record(job, images[job.id], sampler) for job in jobs]
    write_set(Path("data/generated/cls"), cls.names, records, shard=_shard)
    sources = {record.id: record for record in det}
    pasted = {job.id: (job, objects[job.id]) for job in items}
    common = _provenance(sampler)
    sizes, paste = usual_sizes(det), params.generate.det.paste
    composed = [compose(scene, sources[scene.source_id], pasted, sizes, paste, **common) for scene in scenes]
    write_set(Path("data/generated/det"), det.names, composed, shard=_shard)
    return {"images": drawn + drawn_items, "scenes": len(composed)}


def _write_plan(path: Path, jobs: Sequence[Job | SceneJob]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(asdict(job)) + "\n" for job in jobs), encoding="utf-8")


def _provenance(sampler: Sampler) -> dict[str, object]:
    return {
        "guidance_scale": sampler.guidance_scale,
        "steps": sampler.num_inference_steps,
        "scheduler": sampler.scheduler,
        "model": MODEL.as_posix(),
        "revision": sampler.weights_sha256[:40],
    }


def _record(job: Job, data: bytes, sampler: Sampler) -> Record:
    return make_record(
        job.id,
        data,
        "train",
        label=job.label,
        origin="synthetic",
        source_id=job.source_id,
        mode=job.mode,
        prompt=job.prompt,
        negative_prompt=job.negative_prompt,
        seed=job.seed,
        strength=job.strength,
        index=job.index,
        **_provenance(sampler),
    )


def _shard(record: Record) -> str:
    return f"{record.mode}-{(record.index or 0) // SHARD_ROWS:05d}"


if __name__ == "__main__":
    run_stage("generate", generate)
