"""Make the treatment's training set for one seed: reads data/real, data/generated and data/filtered (some recipes
data/pool, or models/generator), writes data/merged/SEED, a complete set: real and added train images, real val images.

Alone: python stages/merge.py SEED
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import diffaug.runtime.start  # noqa: F401 - first, so that Ctrl-C is one line while the others are imported
from diffaug.dataset.provenance import Provenance
from diffaug.dataset.records import ImageSet, Record, read_set, write_set
from diffaug.merging.about import about_set
from diffaug.merging.choosing import Choice
from diffaug.merging.painting import paint_over
from diffaug.merging.recipes import RECIPES, Ingredients
from diffaug.params import Params
from diffaug.runtime.device import choose_device
from diffaug.scoring.ledger import read_ledger
from diffaug.stage import run_stage


def merge(seed: int, params: Params, work: Path) -> Mapping[str, float]:
    """Add as many images as `merge.ratio` or `merge.target` asks for, with the recipe; synthetic ones from the seed's
    own draw, or from the one that all seeds share."""
    count = 0
    pool = read_set(Path("data/pool")) if params.merge.recipe == "real_more" else ImageSet((), ())

    def rebuild(records: Sequence[Record]) -> tuple[list[bytes], Provenance]:
        from diffaug.diffusion.opening import open_model
        from diffaug.diffusion.roundtrip import through_vae

        model = open_model(params.generate, choose_device())
        files = model.found.located
        made = Provenance(
            model=files.name, revision=files.revision, weights_sha256=model.found.sha256, licence=files.licence
        )
        return through_vae(records, model), made

    draw = seed if params.draws == "own" else None
    for task in ("cls", "det"):
        real = read_set(Path(f"data/real/{task}/train"))
        made = read_set(Path(f"data/generated/{task}"))
        ledger = read_ledger(Path(f"data/filtered/{task}"), made)
        accepted = {entry.id: entry for entry in ledger if entry.accepted}
        drawn = ImageSet(made.names, tuple(record for record in made if record.draw == draw))
        given = Ingredients(task, real, drawn, accepted, pool, params.merge, rebuild, draw)
        choice = RECIPES[params.merge.recipe].additions(given)
        unfiltered = params.merge.recipe == "unfiltered"
        ignored = {id: () if unfiltered else entry.ignored for id, entry in accepted.items()}
        chosen = [
            replace(paint_over(record, ignored.get(record.id, ())), added_by=params.merge.recipe)
            for record in (choice.records if choice else ())
        ]
        about = about_set(params.merge, choice, accepted)
        write_set(Path(f"data/merged/{seed}/{task}/train"), real.names, [*real, *chosen], about=about)
        val = read_set(Path(f"data/real/{task}/val"))
        write_set(Path(f"data/merged/{seed}/{task}/val"), val.names, val)
        if real.names:  # otherwise the task is switched off
            print(_summary(task, params, real, choice))
        count += len(real) + len(chosen)
    return {"images": count}


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
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("usage: python stages/merge.py SEED")
    run_stage(f"merge-{sys.argv[1]}", partial(merge, int(sys.argv[1])))
