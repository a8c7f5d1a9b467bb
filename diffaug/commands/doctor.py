"""`diffaug doctor`: finds damaged copies of what dvc.lock names, here, in the cache and on the remote."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dvc.exceptions import DvcException
from dvc.repo import Repo, lock_repo
from dvc.rwlock import rwlock
from dvc_data.hashfile.db import HashFileDB

from diffaug.commands.mending import (
    incomplete,
    lost,
    next_steps,
    remove_from_cache,
    remove_from_remote,
    remove_from_workspace,
)
from diffaug.commands.remote import address, explain, open_remote, remote_name
from diffaug.commands.stored import (
    Checked,
    check_cache,
    check_remote,
    check_workspace,
    local_lists,
    remote_lists,
    wanted_files,
)
from diffaug.runtime.errors import UserError


def doctor(remove: bool, asked: str | None) -> bool:
    """Print what is wrong and what to run; with `remove`, remove corrupt copies first. `asked` is a remote's name.

    Returns whether all is sound. Raises UserError if this is no DVC project, another DVC process is at work, or the
    remote does not let objects be removed.
    """
    for library in ("dvc", "dvc_data", "dvc_objects", "asyncio"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    with _dvc_errors(), _locked() as repo:
        name = remote_name(repo, asked)
        found = _examine(repo, name)
        faults = _faults(repo, found)
        print(*_counts(repo, found), *faults, sep="\n")
        for line in [*(_remove(repo, found) if remove else []), *_advice(found, asked, remove)]:
            print(line)
        return not (faults or found.failed or lost(found.checked))


@dataclass(frozen=True)
class _Found:
    """What was examined: `name` and `remote` are the remote, if it could be used; `note` says what is to be known of
    it, `failed` that it could not be used."""

    checked: Checked
    name: str | None
    remote: HashFileDB | None
    note: str | None
    failed: bool


@contextmanager
def _dvc_errors() -> Iterator[None]:
    try:
        yield
    except DvcException as error:
        raise UserError(" ".join(str(error).split())) from None


@contextmanager
def _locked() -> Iterator[Repo]:
    """The project, while no other DVC process writes what is read."""
    with Repo() as repo, lock_repo(repo):
        outs = [out.fs_path for out in repo.index.outs]
        with rwlock(repo.tmp_dir, repo.fs, "diffaug doctor", [], outs, repo.config["core"].get("hardlink_lock", False)):
            yield repo


def _examine(repo: Repo, name: str | None) -> _Found:
    remote, note, failed = None, None if name else "remote: none is configured, so none was checked", False
    cache = check_cache(repo.cache.local)
    lists, states = local_lists(repo, cache), None
    try:
        if name:
            remote, note = open_remote(repo, name)
            lists |= remote_lists(repo, remote, lists)
            states = check_remote(remote, wanted_files(repo, lists))
    except UserError as error:
        remote, note, failed = None, str(error), True
    except Exception as error:  # the kinds are those of the remote's library
        remote, note, failed = None, explain(error, repo, str(name)), True
    wanted = wanted_files(repo, lists)
    checked = Checked(wanted, lists, cache=cache, remote=states, **check_workspace(repo, wanted, lists))
    return _Found(checked, name, remote, note, failed)


def _counts(repo: Repo, found: _Found) -> list[str]:
    """One line for each place: what was checked there."""
    checked = found.checked
    here, cached, away = (Counter(one.values()) for one in (checked.workspace, checked.cache, checked.remote or {}))
    needed = {one.md5 for one in checked.wanted if one.cached}
    lines = [
        f"workspace: {here.total()} files in dvc.lock: {here['corrupt']} differ, {here['missing']} missing; "
        f"{len(checked.additional)} additional",
        f"cache ({repo.cache.local.path}): {cached.total()} objects: {cached['corrupt']} corrupt; of {len(needed)} in "
        f"dvc.lock {len(needed - checked.cache.keys())} missing",
    ]
    unknown = [one.path for one in checked.wanted if one.is_list and one.md5 not in checked.lists]
    if unknown:
        lines.append(f"not counted: the files of {len(unknown)} folders whose list is not here: {', '.join(unknown)}")
    lines += [found.note] if found.note else []
    if found.remote is not None:
        lines.append(
            f"{address(repo, str(found.name))}: {away.total()} objects in dvc.lock: {away['corrupt']} corrupt, "
            f"{away['missing']} missing"
        )
    return lines


def _faults(repo: Repo, found: _Found) -> list[str]:
    """One line for each bad copy. An out that the workspace does not have at all was not pulled, which is no fault."""
    checked, lines = found.checked, []
    names: dict[str, list[str]] = {}
    for one in checked.wanted:
        names.setdefault(one.md5, []).append(one.path)
        state = checked.workspace.get(one.path)
        if state == "corrupt":
            lines.append(f"workspace: {one.path} differs from dvc.lock")
        elif state == "missing" and one.out not in checked.absent:
            lines.append(f"workspace: {one.path} is missing")
    lines += [
        f"workspace: {path} is not in dvc.lock; move it away, or `dvc checkout --force` removes it"
        for path in checked.additional
    ]

    def of(md5: str) -> str:
        return ", ".join(names.get(md5, ["an object of another version"]))

    cache, remote = repo.cache.local, found.remote
    for md5, state in checked.cache.items():
        if state == "corrupt":
            lines.append(f"cache: {of(md5)} is corrupt: {cache.oid_to_path(md5)}")
    if remote is not None:
        gaps = dict.fromkeys(incomplete(checked), "missing, though its folder's list is there")
        corrupt = {md5: "corrupt" for md5, state in (checked.remote or {}).items() if state == "corrupt"}
        for md5, fault in (corrupt | gaps).items():
            url = remote.fs.unstrip_protocol(remote.oid_to_path(md5))
            lines.append(f"remote {found.name}: {of(md5)} is {fault}: {url}")
    return lines


def _remove(repo: Repo, found: _Found) -> list[str]:
    checked, lists = found.checked, 0
    try:
        if found.remote is not None:
            lists = remove_from_remote(repo, found.remote, checked)
    except Exception as error:  # the kinds are those of the remote's library
        raise UserError(explain(error, repo, str(found.name))) from None
    files = remove_from_workspace(repo, checked)
    remove_from_cache(repo, checked)
    repo.drop_data_index()
    of_cache, of_remote = (list((one or {}).values()).count("corrupt") for one in (checked.cache, checked.remote))
    kept = [path for path, state in checked.workspace.items() if state == "corrupt" and path not in files]
    return [
        f"removed: {len(files)} files here, {of_cache} objects of the cache, {of_remote} of the remote, and there the "
        f"lists of {lists} folders",
        *(f"kept: {path}, of which DVC has no good copy" for path in kept),
    ]


def _advice(found: _Found, asked: str | None, removed: bool) -> list[str]:
    """What to run next, and which stages have to run again."""
    checked, stages, lines = found.checked, lost(found.checked), []
    if stages:
        again = "these stages have to run again, unless another clone can push them"
        lines.append(f"no copy is good of outs of: {', '.join(stages)}; {again}")
        if found.failed:
            lines.append("the remote may have good copies: first make it work, and run `diffaug doctor` again")
    corrupt = any("corrupt" in (one or {}).values() for one in (checked.workspace, checked.cache, checked.remote))
    if not removed and (corrupt or incomplete(checked)):
        return [*lines, f"next: diffaug doctor --remove{f' --remote {asked}' if asked else ''}"]
    return lines + [f"next: {step}" for step in next_steps(checked, asked)]
