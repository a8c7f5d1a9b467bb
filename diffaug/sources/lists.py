"""Lists of images, one text file per split, as in ImageSets/Main of Pascal VOC and in darknet's YOLO."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from diffaug.dataset.records import SPLITS
from diffaug.params.base import with_slashes
from diffaug.runtime.errors import UserError
from diffaug.sources.image_files import text_lines
from diffaug.sources.pairs import Pair
from diffaug.sources.splits import TRAINVAL, by_split, need_train, split_of

_SETS, _MAIN = "imagesets", "main"
_CLASS_LIST = re.compile(r".+_(train|val|trainval|test)", re.IGNORECASE)  # such as cat_train.txt
_PRESENCE = re.compile(r"\s+-?[01]$")  # of a class, behind the name; but a name such as "photo 1" may end so too

Lists = dict[str, dict[str, str]]


def find_lists(texts: Sequence[Path], images: Sequence[Path]) -> Lists:
    """By split, the names of images and their places in the lists; empty if there is no list.

    A list is a text file named after a split, in a folder ImageSets (or its Main) or with an image in its first line.
    trainval stands for train, without the images of val, if there is no train. Raises UserError if a file of
    ImageSets/Main is named after no split, or there is no train.
    """
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in list_files(texts, images):
        folders[path.parent].append(path)
    lists: Lists = {}
    for folder, paths in folders.items():
        _check_names(folder, paths)
        for path in paths:
            split = _split(path)
            if split:
                lists.setdefault(split, {}).update(_entries(path))
    both = lists.pop(TRAINVAL, {})
    if not lists.get("train"):
        lists["train"] = {name: where for name, where in both.items() if name not in lists.get("val", {})}
    lists = {split: lists[split] for split in SPLITS if lists.get(split)}
    need_train(lists, next(iter(folders), ""))
    return lists


def list_files(texts: Sequence[Path], images: Sequence[Path]) -> list[Path]:
    """The files that `find_lists` reads."""
    names = {name for image in images for name in (image.name, image.stem)}
    official = [path for path in texts if _in_sets(path)]
    main = [path for path in official if path.parent.name.lower() == _MAIN]
    chosen = main or [path for path in official if path.parent.name.lower() == _SETS]
    return chosen or [path for path in texts if path not in official and _split(path) and _names_one(path, names)]


def _in_sets(path: Path) -> bool:
    return any(folder.name.lower() == _SETS for folder in path.parents)


def _split(path: Path) -> str | None:
    return TRAINVAL if path.stem.lower() == TRAINVAL else split_of(path.stem)


def _names_one(path: Path, names: set[str]) -> bool:
    first = with_slashes(next(iter(_entries(path)), "")).rpartition("/")[2]
    return any(name in names or Path(name).stem in names for name in (first, _PRESENCE.sub("", first)))


def _check_names(folder: Path, paths: Sequence[Path]) -> None:
    by_split([path.stem for path in paths], folder)
    other = next((path for path in paths if not _split(path) and not _CLASS_LIST.fullmatch(path.stem)), None)
    if other is not None and any(map(_split, paths)):
        raise UserError(f"{other}: lies beside the lists of splits, but its name is none; rename it, or move it away")


def _entries(path: Path) -> dict[str, str]:
    return {line.strip(): f"{path}, line {number}" for number, line in enumerate(text_lines(path), 1) if line.strip()}


def split_by_lists(pairs: Sequence[Pair], lists: Lists, root: Path) -> list[Pair]:
    """The pairs with the splits of lists: by split, the names of images and their places in the lists.

    Raises UserError if a name in a list fits two images. Images that no list names are left out, and printed.
    """
    need_train(lists, root)
    by_name: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        for name in {Path(pair.where).stem, *([pair.image.name] if pair.image else [])}:
            by_name[name].append(pair)
    listed: list[Pair] = []
    found: set[str] = set()
    for split, entries in lists.items():
        for name, where in entries.items():
            pair = _named(name, by_name, where)
            found.add(pair.where)
            listed.append(Pair(split, pair.image, pair.label, pair.where if pair.image else where))
    left = [pair for pair in pairs if pair.where not in found]
    # A label file without image is always a fault; images that the lists leave out are the author's choice.
    away = [pair for pair in left if pair.image is not None]
    if away:
        print(f"download: {root}: left out {len(away)} images that no list of a split names: {away[0].image}, ...")
    return listed + [pair for pair in left if pair.image is None]


def _named(name: str, by_name: dict[str, list[Pair]], where: str) -> Pair:
    """The pair of an entry: a path, a file name, or a name without suffix."""
    name = with_slashes(name)
    last = name.rpartition("/")[2]
    fitting = by_name.get(last) or by_name.get(Path(last).stem)
    if not fitting:
        bare = _PRESENCE.sub("", name)
        return _named(bare, by_name, where) if bare != name else Pair("train", None, None, where)
    ends = [pair for pair in fitting if pair.image and pair.image.as_posix().endswith(f"/{name.lstrip('./')}")]
    fitting = ends or fitting
    if len(fitting) > 1:
        raise UserError(f"{where}: {name} fits two images, {fitting[0].image} and {fitting[1].image}; rename one")
    return fitting[0]
