"""Imported before Ultralytics: gives it a private home; forbids the network, DVC and installing packages."""

import importlib.util
import os
import shutil
from pathlib import Path

# One of several trainings side by side has its own, in its folder: Ultralytics writes its settings there.
_HOME = (Path(os.environ.get("DIFFAUG_TRAINING") or os.environ.get("DIFFAUG_WORK", ".work")) / "ultralytics").resolve()
_HOME.mkdir(parents=True, exist_ok=True)
os.environ["YOLO_CONFIG_DIR"] = str(_HOME)
os.environ["YOLO_OFFLINE"] = "true"
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_VERBOSE"] = "false"


def _font() -> None:
    """Ultralytics downloads a font unless one is here; use the one that comes with matplotlib."""
    spec = importlib.util.find_spec("matplotlib")
    if spec and spec.origin:
        source = Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
        (_HOME / "Ultralytics").mkdir(exist_ok=True)
        for name in ("Arial.ttf", "Arial.Unicode.ttf"):
            if not (_HOME / "Ultralytics" / name).exists():
                shutil.copyfile(source, _HOME / "Ultralytics" / name)


_font()
