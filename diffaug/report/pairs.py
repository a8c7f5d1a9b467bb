"""Sheets to look at: synthetic images next to the nearest real ones, and test images on which the arms differ."""

from collections.abc import Mapping, Sequence

from diffaug.dataset.records import Record
from diffaug.report.sheet import Tile
from diffaug.scoring.ledger import Entry

# The first one that was computed is used.
_MEASURES = {"correlation": "(1 - r)", "hash": "bits", "embedding": "cosine"}
_GROUPS = {"train": "train", "heldout": "val or test"}


def nearest_pairs(
    entries: Sequence[Entry], synthetic: Mapping[str, Record], real: Mapping[str, Record], pairs: int
) -> list[tuple[str, list[Tile]]]:
    """Sections of tiles: the kept synthetic images that are nearest to train and to val or test, each followed by its
    real neighbour."""
    columns = entries[0].scores if entries else {}
    name = next((name for name in _MEASURES if f"{name}_train" in columns), None)
    sections = []
    for group, title in _GROUPS.items() if name else ():
        near = [entry for entry in entries if entry.accepted and entry.scores[f"{name}_nearest_{group}"] in real]
        near = sorted(near, key=lambda entry: (entry.scores[f"{name}_{group}"], entry.id))[:pairs]
        tiles = []
        for entry in near:
            neighbour = real[entry.scores[f"{name}_nearest_{group}"]]
            distance = f"{entry.scores[f'{name}_{group}']:.3g} {_MEASURES[name or '']}"
            tiles += [
                Tile(synthetic[entry.id], f"{entry.id[-18:]}\n{distance}"),
                Tile(neighbour, f"real, {neighbour.split}\n"),
            ]
        sections.append((f"kept synthetic images, each next to the nearest real one of {title}", tiles))
    return sections


def changed_sides_tiles(
    test: Sequence[Record],
    names: Sequence[str],
    right: Mapping[str, Sequence[int]],
    mistaken: Mapping[str, Sequence[str]],
    count: int,
) -> list[tuple[str, list[Tile]]]:
    """Sections of tiles: test images that more seeds' models classify correctly with the synthetic images than without,
    and the reverse; the largest differences first.

    right: by arm, how many models are right on each image (N,). mistaken: by arm, the class that most of the others
    predict (N,).
    """
    gains = [merged - real for real, merged in zip(right["real"], right["merged"])]
    sections = []
    for title, sign, arm in (("mended", 1, "real"), ("broken", -1, "merged")):
        order = sorted(range(len(test)), key=lambda index: (-sign * gains[index], test[index].id))
        chosen = [index for index in order if sign * gains[index] > 0]
        tiles = []
        for index in chosen[:count]:
            label = test[index].label
            assert label is not None  # a classification image
            models = f"{right['real'][index]} to {right['merged'][index]}"
            tiles.append(Tile(test[index], f"{models}: {names[label][:18]}\nelse {mistaken[arm][index][:18]}"))
        heading = (
            f"test images that the merged arm has {title} ({len(chosen)}): how many models are right, real to merged"
        )
        sections.append((heading, tiles))
    return sections
