"""Where the images lie that a COCO file names."""

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from diffaug.params.base import with_slashes
from diffaug.sources.coco_files import CocoFile
from diffaug.sources.contents import Contents
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.splits import WORDS, split_of_folders

_INSTANCES = re.compile(r"instances_(.+)\.json")


def find_image(name: str, file: CocoFile, found: Contents, where: str) -> Path | Fault:
    """The image of that name: in one of the folders where COCO and Roboflow have it, or anywhere, if only one fits and
    it is in no folder of another split. Otherwise a fault, also if the name leads out of its folder."""
    name = with_slashes(name)
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        text = f"{where}: the file_name {name!r} leads out of its folder; give a path below the folder of the images"
        return Fault(Kind.BAD_ENTRY, text)
    folders = [] if found.chosen else _folders(file, found.root)
    path = next((folder / name for folder in folders if _is_file(folder / name)), None)
    if path is not None:
        return path
    parts = PurePosixPath(name).parts
    fitting = [
        image
        for image in found.by_name.get(parts[-1] if parts else "", [])
        if image.parts[-len(parts) :] == parts and split_of_folders(image, found.root) in (None, file.split)
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        return Fault(Kind.MISSING, f"{where}: {name} may be {fitting[0]} or {fitting[1]}; name it with its folder")
    places = " nor in ".join(map(str, folders[:2])) or "the images"
    return Fault(
        Kind.MISSING, f"{where}: {name} is neither in {places}, nor elsewhere in {found.root}", Path(name).stem
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that the system does not allow
        return False


def _folders(file: CocoFile, root: Path) -> list[Path]:
    named = _INSTANCES.fullmatch(file.path.name)
    words = [named.group(1)] if named else []
    words += [word for word in WORDS[file.split] if word not in words]
    places = [place / word for word in words for place in (root, root / "images")]
    return list(dict.fromkeys([file.path.parent, *places, root / "images", root]))
