"""Draw docs/overview.png, the picture on top of the README, from a finished run of the default parameters.

In the folder of the run: python docs/overview.py [PNG]
"""

import csv
import hashlib
import io
import json
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from diffaug.evaluation.verdicts import added, judge

WIDTH, HEIGHT, TILE, STEP = 1600, 560, 100, 110  # pixels
GREEN, RED, GREY, BLACK = "#2a7f3e", "#b3261e", "#4b5563", "#111827"
THINGS = {"cls": "images", "det": "scenes"}
Row = dict[str, Any]


def read_set(folder: str) -> tuple[list[Row], list[str]]:
    """The rows of an image set, sorted by id, and the names of its classes."""
    table = pq.read_table(folder, columns=["id", "image", "label"])
    names = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    return sorted(table.to_pylist(), key=lambda row: row["id"]), names


def spread(rows: list[Row], count: int, key: str) -> list[Row]:
    """`count` rows, as if drawn at random: the values of `key` take turns, then the classes."""
    turns, chosen = Counter[Any](), list[Row]()
    rows = sorted(rows, key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())
    while len(chosen) < min(count, len(rows)):
        left = [row for row in rows if row not in chosen]
        chosen.append(min(left, key=lambda row: (turns[row[key]], turns["class", row["label"]], row[key])))
        turns.update([chosen[-1][key], ("class", chosen[-1]["label"])])
    return chosen


def write(page: Axes, x: float, y: float, text: str, size: int, color: str = BLACK, **style: Any) -> None:
    """Text `size` pixels high, its upper left corner at (x, y)."""
    page.text(x, y, text, fontsize=size * 0.72, color=color, va="top", family="DejaVu Sans", **style)


def tiles(page: Axes, left: int, top: int, rows: list[Row], names: list[str], color: str) -> None:
    """Four pictures side by side, with the class below each and, where there is one, the reason of its rejection."""
    for number, row in enumerate(rows):
        x, y = left + number % 4 * STEP, top + number // 4 * (STEP + 24)
        picture = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
        page.imshow(picture, extent=(x, x + TILE, y + TILE, y), interpolation="nearest")
        page.add_patch(Rectangle((x, y), TILE, TILE, fill=False, edgecolor=color, linewidth=2.5))
        write(page, x, y + TILE + 5, names[row["label"]], 18)
        if row.get("reason"):
            page.plot([x + 8, x + 92], [y + 8, y + 92], [x + 8, x + 92], [y + 92, y + 8], color="#ff5a4f", linewidth=3)
            write(page, x, y + TILE + 27, textwrap.fill(row["reason"], 11), 17, RED, linespacing=1.05)


def verdict(page: Axes, metrics: Row, left: int, right: int) -> None:
    """The two primary metrics: the numbers, the verdict in words, and the interval above an axis in points."""
    main = [one for one in judge(metrics).values() if one.primary]
    ends = [100 * end for one in main for end in (one.difference.low, one.difference.high)]
    first, last = min(-1.0, *ends) - 0.5, max(1.0, *ends) + 0.5
    at = lambda points: left + (points - first) / (last - first) * (right - left)  # noqa: E731
    page.plot([left, right], [482, 482], color=BLACK, linewidth=1.2)
    for tick in range(-2 * int(-first / 2), int(last) + 1, 2):
        page.plot([at(tick)] * 2, [482, 489], color=BLACK, linewidth=1.2)
        write(page, at(tick), 492, f"{tick:+d}" if tick else "0", 19, ha="center")
    write(page, (left + right) / 2, 522, "difference in points, with its 95 % interval", 19, GREY, ha="center")
    for top, one in zip((88, 284), main):
        task, name = one.metric.task, one.metric.name
        low, mean, high = (100 * end for end in (one.difference.low, one.difference.mean, one.difference.high))
        color = {"helped": GREEN, "hurt": RED}.get(one.verdict, GREY)
        arms = " \u2192 ".join(f"{100 * arm[task][name]:.1f}" for arm in (metrics["real"], metrics))
        write(page, left, top, f"{one.metric.title}: {arms}", 23, weight="bold")
        write(page, left, top + 33, f"with {added(metrics, task)} synthetic {THINGS[task]} added", 20, GREY)
        write(page, left, top + 64, f"{mean:+.1f}: {one.verdict}", 28, color, weight="bold")
        page.plot([at(0)] * 2, [top + 112, top + 198 if top > 88 else top + 164], color=BLACK, linewidth=1.2)
        page.plot([at(low), at(high)], [top + 138] * 2, color=color, linewidth=6)
        page.plot([at(mean)], [top + 138], "o", color=color, markersize=14)


def draw(path: Path) -> None:
    """Real images, generated ones, the verdict."""
    (real, names), (generated, _) = read_set("data/real/cls/train"), read_set("data/generated/cls")
    ledger = csv.DictReader(io.StringIO(Path("data/filtered/cls/ledger.csv").read_text(encoding="utf-8")))
    reasons = {row["id"]: {"reason": row["reason"]} for row in ledger}
    judged = [row | reasons[row["id"]] for row in generated]
    details = json.loads(Path("metrics/details.json").read_text(encoding="utf-8"))
    kept, rejected = ([row for row in judged if bool(row["reason"]) == bad] for bad in (False, True))
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100)
    page = figure.add_axes((0, 0, 1, 1))
    for x, title in ((20, "Real images with labels"), (564, "Generated images"), (1112, "Did they help?")):
        write(page, x, 12, title, 29, weight="bold")
    write(page, 20, 50, f"{len(real)} for training", 20, GREY)
    tiles(page, 20, 80, spread(real, 12, "label"), names, GREY)
    write(page, 564, 50, f"{len(kept):,} of {len(generated):,} kept, for {details['seeds']} seeds", 20, GREEN)
    tiles(page, 564, 80, spread(kept, 8, "label"), names, GREEN)
    write(page, 564, 345, f"{len(rejected):,} rejected, each with a reason", 20, RED)
    tiles(page, 564, 375, spread(rejected, 4, "reason"), names, RED)
    write(page, 1112, 50, "on real test images, without \u2192 with them", 20, GREY)
    verdict(page, details, 1112, 1580)
    for x, text in ((509, "generate,\nfilter"), (1053, "train,\ntest")):
        write(page, x, 226, text, 19, GREY, ha="center")
        page.add_patch(FancyArrowPatch((x - 45, 290), (x + 45, 290), mutation_scale=34, linewidth=5, color=GREY))
    page.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0), aspect="auto", frame_on=False, xticks=[], yticks=[])
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/overview.png"))
