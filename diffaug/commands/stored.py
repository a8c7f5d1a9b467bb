"""What dvc.lock names, and whether each copy of it has the right bytes: in the workspace, the cache and the remote.

Every hash is computed here. DVC itself trusts a file whose size and time are as they were, and any object of the cache
that is read-only.
"""

import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dvc.fs import FileSystem, localfs
from dvc.output import Output
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError
from tqdm import tqdm

from diffaug.runtime.errors import UserError

State = Literal["good", "corrupt", "missing"]

_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")
_THREADS = 8  # a server answers several requests in the time of one


@dataclass(frozen=True)
class Wanted:
    """A file that dvc.lock names, or the list of a folder's files: its path ends in /, its md5 in .dir."""

    path: str
    md5: str
    stage: str
    out: str
    cached: bool

    @property
    def is_list(self) -> bool:
        return self.path.endswith("/")


@dataclass(frozen=True)
class Checked:
    """The states of all copies: by path in the workspace, by MD5 in the cache and on the remote.

    `remote` is None if it was not checked. `whole` are the MD5s of the lists of folders that the workspace has complete
    and unchanged, `absent` the outs that it does not have at all.
    """

    wanted: list[Wanted]
    lists: dict[str, Tree]
    workspace: dict[str, State]
    whole: set[str]
    absent: set[str]
    additional: list[str]
    cache: dict[str, State]
    remote: dict[str, State] | None

    def here(self, one: Wanted) -> bool:
        """Whether the workspace has it with the right bytes."""
        return one.md5 in self.whole if one.is_list else self.workspace[one.path] == "good"

    @cached_property
    def _good_here(self) -> set[str]:
        return {one.md5 for one in self.wanted if one.cached and self.here(one)}

    def in_cache(self, md5: str) -> bool:
        """Whether the cache has it with the right bytes, or can get it from the workspace."""
        return self.cache.get(md5) == "good" or md5 in self._good_here

    def on_remote(self, md5: str) -> State:
        """Its state on the remote; missing if that was not checked."""
        return self.remote.get(md5, "missing") if self.remote is not None else "missing"


def check_cache(cache: HashFileDB) -> dict[str, State]:
    """The state of every object that lies in the cache, whatever needs it."""
    paths = {path: path.parent.name + path.name for path in Path(cache.path).glob("??/*")}
    objects = {md5: (str(path), md5) for path, md5 in paths.items() if _OBJECT.fullmatch(md5)}
    return _states(cache.fs, objects, "cache")


def check_remote(remote: HashFileDB, wanted: Iterable[Wanted]) -> dict[str, State]:
    """The state on the remote of every object that dvc.lock needs. Raises what the remote's file system raises."""
    objects = {one.md5: (remote.oid_to_path(one.md5), one.md5) for one in wanted if one.cached}
    return _states(remote.fs, objects, "remote")


def local_lists(repo: Repo, cache: Mapping[str, State]) -> dict[str, Tree]:
    """The lists of the folders that dvc.lock names, by MD5: from the cache, or made again from a complete folder."""
    lists = {}
    for out in _folders(repo):
        md5 = out.hash_info.value
        if cache.get(md5) == "good":
            lists[md5] = load_list(repo.cache.local, out.hash_info)
        elif hashlib.md5((tree := _folder_list(repo, out)).as_bytes()).hexdigest() == md5[:32]:
            lists[md5] = tree
    return lists


def remote_lists(repo: Repo, remote: HashFileDB, known: Container[str]) -> dict[str, Tree]:
    """Those that are not known but that the remote has. Raises what the remote's file system raises."""
    infos = [out.hash_info for out in _folders(repo) if out.hash_info.value not in known]
    good = [one for one in infos if object_state(remote.fs, remote.oid_to_path(one.value), one.value) == "good"]
    return {one.value: load_list(remote, one) for one in good}


def load_list(objects: HashFileDB, info: HashInfo) -> Tree:
    """The list of a folder's files. Raises UserError if it is no list, or names anything but files below its folder:
    what doctor removes is what the lists name."""
    try:
        tree = Tree.load(objects, info)
        bad = [
            "/".join(key) for key, _, one in tree if not (_are_names(key) and _OBJECT.fullmatch(str(one and one.value)))
        ]
    except (ObjectFormatError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{objects.oid_to_path(info.value)}: not a list of files ({error}); remove it") from None
    if bad:
        raise UserError(
            f"{objects.oid_to_path(info.value)}: names {bad[0][:100]!r}, which is no file below its folder with an "
            "MD5; DVC did not write this: remove it, and do not trust where it came from"
        )
    return tree


def _are_names(parts: tuple[str, ...]) -> bool:
    return bool(parts) and not any(part in ("", ".", "..") or set(part) & set("/\\:\0") for part in parts)


def wanted_files(repo: Repo, lists: Mapping[str, Tree]) -> list[Wanted]:
    """All that dvc.lock names for the stages of dvc.yaml, in their order."""
    found = []
    for out in _outs(repo):
        name = Path(out.fs_path).relative_to(repo.root_dir).as_posix()
        shared = {"stage": out.stage.addressing, "out": name, "cached": out.use_cache}
        found.append(Wanted(name + "/" * out.hash_info.isdir, out.hash_info.value, **shared))
        for key, _, info in lists.get(out.hash_info.value, ()):
            found.append(Wanted("/".join((name, *key)), info.value, **shared))
    return found


def check_workspace(repo: Repo, wanted: list[Wanted], lists: Mapping[str, Tree]) -> dict[str, Any]:
    """The fields of Checked that tell of the workspace."""
    root = Path(repo.root_dir)
    files = [one for one in wanted if not one.is_list]
    states = _states(localfs, {one.path: (str(root / one.path), one.md5) for one in files}, "workspace")
    additional, whole = [], set()
    for folder in (one for one in wanted if one.md5 in lists):
        named = {one.path for one in files if one.out == folder.out}
        found = {path.relative_to(root).as_posix() for path in _files(repo, root / folder.out)}
        additional += sorted(found - named)
        if found == named and all(states[path] == "good" for path in named):
            whole.add(folder.md5)
    absent = {one.out for one in wanted if not (root / one.out).exists()}
    return {"workspace": states, "whole": whole, "absent": absent, "additional": additional}


def object_state(fs: FileSystem, path: str, md5: str) -> State:
    """Read it to its end and compare its MD5."""
    try:
        with fs.open(path, "rb") as handle:
            content = hashlib.file_digest(handle, "md5").hexdigest()  # type: ignore[arg-type]
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    return "good" if content == md5[:32] else "corrupt"


def _states(fs: FileSystem, objects: Mapping[str, tuple[str, str]], what: str) -> dict[str, State]:
    """The states of `objects`, each a path and an MD5."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        found = pool.map(lambda one: object_state(fs, *one), objects.values())
        return dict(zip(objects, tqdm(found, total=len(objects), desc=what, unit="file", leave=False, disable=None)))
    finally:
        pool.shutdown(cancel_futures=True)


def _outs(repo: Repo) -> list[Output]:
    outs = [
        out
        for out in repo.index.outs
        if out.hash_info and out.hash_info.name == "md5" and out.is_in_repo and _OBJECT.fullmatch(out.hash_info.value)
    ]
    return sorted(outs, key=lambda out: out.fs_path)


def _folders(repo: Repo) -> list[Output]:
    return [out for out in _outs(repo) if out.hash_info.isdir]


def _files(repo: Repo, folder: Path) -> Iterator[Path]:
    """The files in a folder that DVC does not ignore."""
    if folder.is_dir():
        yield from (Path(path) for path in repo.dvcignore.find(localfs, str(folder)))


def _folder_list(repo: Repo, out: Output) -> Tree:
    tree = Tree()
    for path in _files(repo, Path(out.fs_path)):
        with path.open("rb") as handle:
            content = hashlib.file_digest(handle, "md5").hexdigest()
        tree.add(path.relative_to(out.fs_path).parts, None, HashInfo("md5", content))
    return tree
