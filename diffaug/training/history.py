"""The training curve of a model, as history.csv."""

from collections.abc import Sequence
from pathlib import Path

from diffaug.runtime.tables import write_table

HISTORY = "history.csv"
CURVES = Path("metrics/curves")  # TASK/ARM-SEED.csv, an output of each training


def write_history(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write `history.csv`: one line per evaluation."""
    write_table(folder / HISTORY, list(rows[0]), [list(row.values()) for row in rows])
