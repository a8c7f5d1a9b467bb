"""Make the treatment's training set: reads data/real, data/generated and data/filtered (some recipes data/pool, or
models/generator), writes data/merged, a complete set: real and added train images, real val images.

Alone: python stages/merge.py
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import ImageSet, Record, read_set, write_set
from diffaug.merging.choosing import Choice
from diffaug.merging.painting import paint_over
from diffaug.merging.recipes import RECIPES, Ingredients
from diffaug.params import Params
from diffaug.params.merge import MergeParams
from diffaug.runtime.device import choose_device
from diffaug.scoring.ledger import read_ledger
from diffaug.stage import run_stage
from diffaug.training.treatment import SHORT, TREATMENT, Treatment


def merge(params: Params, work: Path) -> Mapping[str, float]:
    """Add as many images as `merge.ratio` or `merge.target` asks for, with the recipe."""
    count = 0
    pool = read_set(Path("data/pool")) if params.merge.recipe == "real_more" else ImageSet((), ())

    def rebuild(records: Sequence[Record]) -> tuple[list[bytes], Provenance]:
        from diffaug.diffusion.opening import open_model
        from diffaug.diffusion.roundtrip import through_vae

        model = open_model(params.generate, choose_device())
        name, revision, licence = model.located.name, model.located.revision, model.located.licence
        made = Provenance(model=name, revision=revision, weights_sha256=model.sha256, licence=licence)
        return through_vae(records, model), made

    for task in ("cls", "det"):
        real = read_set(Path(f"data/real/{task}/train"))
        generated = read_set(Path(f"data/generated/{task}"))
        ledger = read_ledger(Path(f"data/filtered/{task}"), generated)
        accepted = {entry.id: entry for entry in ledger if entry.accepted}
        given = Ingredients(task, real, generated, accepted, pool, params.merge, rebuild)
        choice = RECIPES[params.merge.recipe].additions(given)
        unfiltered = params.merge.recipe == "unfiltered"
        ignored = {id: () if unfiltered else entry.ignored for id, entry in accepted.items()}
        chosen = [
            replace(paint_over(record, ignored.get(record.id, ())), added_by=params.merge.recipe)
            for record in (choice.records if choice else ())
        ]
        about: dict[str, Any] = {
            "merge": params.merge.model_dump(),
            TREATMENT: asdict(_treatment(params.merge, choice)),
        }
        if choice and choice.short:
            about[SHORT] = choice.short
        write_set(Path(f"data/merged/{task}/train"), real.names, [*real, *chosen], about=about)
        val = read_set(Path(f"data/real/{task}/val"))
        write_set(Path(f"data/merged/{task}/val"), val.names, val)
        if real.names:  # otherwise the task is switched off
            print(_summary(task, params, real, choice))
        count += len(real) + len(chosen)
    return {"images": count}


def _treatment(params: MergeParams, choice: Choice | None) -> Treatment:
    if choice is None:
        return Treatment()
    probability = params.replace_probability if params.mix == "replace" else None
    return Treatment(
        params.recipe, len(choice.records), params.synthetic_weight, probability, params.recipe == "classic"
    )


def _summary(task: str, params: Params, real: ImageSet, choice: Choice | None) -> str:
    if choice is None:
        recipe = params.merge.recipe
        return f"merge: {task}: {recipe} has nothing to add, so both arms are the same {len(real)} real images"
    kind = RECIPES[params.merge.recipe].kind
    text = f"merge: {task}: {len(real)} real and {len(choice.records)} {kind} train images"
    boxes = Counter(label for record in (*real, *choice.records) for label in record.category)
    if boxes:
        text += f" with {', '.join(f'{boxes[label]} {name}' for label, name in enumerate(real.names))}"
    return f"{text}; fewer than {params.merge.amount} asks for: {'; '.join(choice.short)}" if choice.short else text


if __name__ == "__main__":
    run_stage("merge", merge)
