from pathlib import Path

import pytest

from diffaug.report import figures
from diffaug.runtime.tables import write_table

NAMES = ["$\\frac{$", "=1+1", "<b>&", "x" * 100, "猫"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_drawn_as_it_is(tmp_path: Path, name: str) -> None:
    """A $ was once the beginning of a formula, and a traceback."""
    write_table(tmp_path / "classes.csv", ["class", "real", "merged"], [[name, 0.5, 0.6]])
    write_table(tmp_path / "confusion.csv", ["actual", "predicted"], [[name, name]])
    shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") if len(name) < 25 else f"{'x' * 23}…"
    for svg in (
        figures.per_class(tmp_path / "classes.csv"),
        figures.confusion({"real": tmp_path / "confusion.csv"}, [name]),
    ):
        assert f">{shown}</text>" in svg
