"""The names that people give to splits, for all readers: of folders, of files, of lists and of keys."""

import re
from collections.abc import Iterable
from pathlib import Path

from diffaug.dataset.records import SPLITS
from diffaug.runtime.errors import UserError

WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing"),
}
TRAINVAL = "trainval"  # of Pascal VOC: train, without the images of val, where train itself is missing
_SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
_TAIL = re.compile(r"[\s_-]*(set|data|images?|imgs?)?[\s_-]*\d*$")  # as in train2017 and test_set


def split_of(name: str) -> str | None:
    """The split that a name stands for, such as "Testing", "valid" or "train2017", in any case; None for another."""
    return _SPLIT_OF.get(_word(name))


def _word(name: str) -> str:
    return _TAIL.sub("", name.lower())


def split_in_words(name: str, where: object) -> str | None:
    """The split that one of the words of a name stands for, as in "instances_train2017" and "my-val-boxes"; or
    TRAINVAL. Raises UserError if two words stand for two splits."""
    words = re.findall(r"[a-z]+", name.lower())
    found = {_SPLIT_OF.get(word, TRAINVAL if word == TRAINVAL else None) for word in words} - {None}
    if len(found) > 1:
        raise UserError(f"{where}: its name has words of two splits ({', '.join(sorted(map(str, found)))}); rename it")
    return next(iter(found), None)


def split_of_folders(path: Path, root: Path) -> str | None:
    """The split that a folder between root and the file stands for, as in images/train/0.png; None if there is none.
    Raises UserError if there are two."""
    inner = path.relative_to(root).parts[:-1] if path.is_relative_to(root) else ()
    found = {split_of(part) for part in inner} - {None}
    if len(found) > 1:
        raise UserError(f"{path}: lies in folders of two splits ({', '.join(map(str, found))}); rename one of them")
    return next(iter(found), None)


def check_one_word(paths: Iterable[Path], root: Path) -> None:
    """Raises UserError if the folders between root and the files have two words for one split, such as val and dev."""
    parts = {part for path in paths if path.is_relative_to(root) for part in path.relative_to(root).parts[:-1]}
    by_split(sorted({_word(part) for part in parts if split_of(part)}), root)


def by_split(names: Iterable[str], where: object) -> dict[str, str]:
    """The name for each split among the names, in the order train, val, test. Raises UserError if two of them stand
    for the same split."""
    found: dict[str, str] = {}
    for name in names:
        split = split_of(name)
        if split is not None and found.setdefault(split, name) != name:
            raise UserError(f"{where}: {found[split]} and {name} both stand for {split}; join them, or rename one")
    return {split: found[split] for split in SPLITS if split in found}


def need_train(given: Iterable[str], where: object) -> None:
    """Raises UserError if there are splits, but not train."""
    found = [split for split in SPLITS if split in set(given)]
    if found and "train" not in found:
        raise UserError(
            f"{where}: has {' and '.join(found)}, but no train; name it {' or '.join(WORDS['train'])}, in any case"
        )
