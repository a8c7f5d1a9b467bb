"""Prints how long each stage of finished pipelines took, side by side, with the start of its process counted.

python benchmarks/default.py FOLDER [FOLDER ...]

Each folder is a clone, or a preset's folder in .work/presets, in which `dvc repro` ran from nothing and without a stop,
on the same machine. DVC runs one stage after another, so a stage took the time from the end of the one before it; these
ends are the times of the files in metrics/speed.
"""

import argparse
from pathlib import Path

import yaml

GROUPS = {"train_cls": "trainings", "train_det": "trainings"}
ROWS = ("download", "train_gen", "generate", "filter", "merge", "trainings", "evaluate", "report")


def seconds(folder: Path) -> dict[str, float]:
    """Seconds by stage, the trainings together, and of the whole run."""
    files = sorted((folder / "metrics/speed").glob("*.json"), key=lambda one: one.stat().st_mtime)
    if {file.stem.partition("-")[0] for file in files} != set(stages(folder)):
        raise SystemExit(f"{folder}: not every stage has a file in metrics/speed; run `dvc repro` in it first")
    before = started = (folder / ".dvc/tmp/btime").stat().st_mtime
    taken = dict.fromkeys(ROWS, 0.0)
    for file in files:
        stage = file.stem.partition("-")[0]
        taken[GROUPS.get(stage, stage)] += file.stat().st_mtime - before
        before = file.stat().st_mtime
    return taken | {"in all": before - started}


def stages(folder: Path) -> list[str]:
    """The names in dvc.yaml."""
    return list(yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    columns = [seconds(folder) for folder in folders]
    print(f"| stage, seconds | {' | '.join(str(folder) for folder in folders)} |")
    print("|---" * (len(folders) + 1) + "|")
    for row in (*ROWS, "in all"):
        print(f"| {row} | {' | '.join(f'{column[row]:.0f}' for column in columns)} |")


if __name__ == "__main__":
    main()
