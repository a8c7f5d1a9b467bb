"""Writing the trained pipeline as a standard diffusers folder."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from diffusers import StableDiffusionPipeline

from diffaug.quiet import silence_libraries

LOSS_POINTS = 200


def save_pipeline(
    pipeline: StableDiffusionPipeline, losses: dict[str, list[float]], classes: Sequence[str], folder: Path
) -> None:
    """Write the pipeline, `classes.json` (what it learned to draw) and `losses.csv` (network, step, mean loss) to
    `folder`, either whole or not at all."""
    silence_libraries()
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    pipeline.save_pretrained(temporary, safe_serialization=True)
    (temporary / "classes.json").write_text(json.dumps(list(classes), ensure_ascii=False) + "\n", encoding="utf-8")
    with (temporary / "losses.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["network", "step", "loss"])
        for network, values in losses.items():
            every = max(1, len(values) // LOSS_POINTS)
            for start in range(0, len(values), every):
                part = values[start : start + every]
                writer.writerow([network, start + len(part), f"{sum(part) / len(part):.6f}"])
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
