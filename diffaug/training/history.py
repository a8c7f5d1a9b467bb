"""A model's training curve as history.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path


def write_history(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write `history.csv`: a line for every evaluation, steps as they are, other numbers with six digits."""
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: value if key == "step" else f"{value:.6g}" for key, value in row.items()})
