"""Make the treatment's training set: reads data/real, data/generated and data/filtered, writes data/merged, complete in
itself: real and accepted synthetic train images, real val images.

Alone: python stages/merge.py
"""

from collections.abc import Mapping
from pathlib import Path

from diffaug.merging import draw, paint_over
from diffaug.params import Params
from diffaug.records import read_set, write_set
from diffaug.scoring.ledger import read_ledger
from diffaug.stage import run_stage


def merge(params: Params, work: Path) -> Mapping[str, float]:
    """Add `merge.ratio` synthetic images per real one, class by class."""
    count = 0
    for task in ("cls", "det"):
        real = read_set(Path(f"data/real/{task}/train"))
        generated = read_set(Path(f"data/generated/{task}"))
        accepted = {entry.id: entry for entry in read_ledger(Path(f"data/filtered/{task}")) if entry.accepted}
        drawn = draw(real, generated, accepted, params.merge, task)
        chosen = [paint_over(record, accepted[record.id].ignored) for record in drawn]
        write_set(Path(f"data/merged/{task}/train"), real.names, [*real, *chosen])
        val = read_set(Path(f"data/real/{task}/val"))
        write_set(Path(f"data/merged/{task}/val"), val.names, val)
        print(f"merge: {task}: {len(real)} real and {len(chosen)} synthetic train images")
        count += len(real) + len(chosen)
    return {"images": count}


if __name__ == "__main__":
    run_stage("merge", merge)
