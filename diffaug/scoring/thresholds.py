"""Thresholds that are `auto`: they follow from real train images, of which about one in a hundred would fail, at most.
Where real images are as near to each other as copies, no threshold can tell the two apart."""

import json
from pathlib import Path
from typing import Any

from diffaug.params.filter import AUTO, ClsChecks, DetChecks
from diffaug.runtime.files import atomic_path
from diffaug.scoring.ledger import THRESHOLDS
from diffaug.scoring.material import Material
from diffaug.scoring.scores import active, measured_real, score_module

_REJECTED = 1  # per cent of real train images, at most


def settle(checks: ClsChecks | DetChecks, material: Material, work: Path, folder: Path) -> ClsChecks | DetChecks:
    """The checks with numbers in place of `auto`. They are printed, and written to `thresholds.json` in the folder."""
    found: dict[str, dict[str, float]] = {}
    for name, section in active(checks).items():
        wanted = [field for field, value in section if value == AUTO]
        if wanted:
            score: Any = score_module(name)
            columns = measured_real(name, section, material, work)
            found[name] = {field: threshold(columns[field], score.AUTO[field]) for field in wanted}
    with atomic_path(folder / THRESHOLDS) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if material.names:  # a task that is null has none
        for name, values in found.items():
            said = ", ".join(f"{field} {value:.3g}" for field, value in values.items())
            print(f"filter: {material.task}: {name}: {said} (auto, by real train images)")
    settled = {name: active(checks)[name].model_copy(update=values) for name, values in found.items()}
    return checks.model_copy(update=settled)


def threshold(values: list[float], most: float) -> float:
    """What all but one in a hundred of these values exceed or equal, at most `most`."""
    return min(most, sorted(values)[len(values) * _REJECTED // 100]) if values else most
