"""Removing corrupt copies, so that DVC brings good ones, and what has to be run for that."""

import stat
from collections.abc import Iterator
from pathlib import Path

from dvc.fs import localfs
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB, get_index
from dvc_data.hashfile.hash_info import HashInfo

from diffaug.commands.stored import Checked, load_list, object_state
from diffaug.runtime.errors import UserError


def lost(checked: Checked) -> list[str]:
    """The stages with an out of which no copy is good; if the remote was not checked, those with a corrupt copy."""
    stages = []
    for one in checked.wanted:
        if checked.here(one) or (one.cached and (checked.in_cache(one.md5) or checked.on_remote(one.md5) == "good")):
            continue
        corrupt = checked.cache.get(one.md5) == "corrupt" or checked.workspace.get(one.path) == "corrupt"
        if corrupt or (one.cached and checked.remote is not None):
            stages.append(one.stage)
    return list(dict.fromkeys(stages))


def incomplete(checked: Checked) -> list[str]:
    """The MD5s that are missing on the remote although the list of their folder is there: dvc push takes the list as
    proof that its files are there, and uploads nothing."""
    found = []
    for md5, files in checked.lists.items():
        if checked.on_remote(md5) == "good":
            found += [info.value for _, _, info in files if checked.on_remote(info.value) == "missing"]
    return list(dict.fromkeys(found))


def remove_from_cache(repo: Repo, checked: Checked) -> None:
    """Remove corrupt objects; those that are then missing are copied from good files of the workspace."""
    cache = repo.cache.local
    for md5, state in checked.cache.items():
        if state == "corrupt":
            _unlink(Path(cache.oid_to_path(md5)))
    for one in checked.wanted:
        if one.cached and checked.here(one) and checked.cache.get(one.md5) != "good":
            if one.is_list:
                cache.add_bytes(one.md5, checked.lists[one.md5].as_bytes())
                cache.protect(cache.oid_to_path(one.md5))
            else:
                cache.add(str(Path(repo.root_dir) / one.path), localfs, one.md5)


def remove_from_workspace(repo: Repo, checked: Checked) -> list[str]:
    """Remove corrupt files of which DVC can bring a good copy; returns the paths of these."""
    removed = []
    for one in checked.wanted:
        if one.is_list or checked.workspace[one.path] != "corrupt":
            continue
        path = Path(repo.root_dir) / one.path
        if one.cached and (checked.in_cache(one.md5) or checked.on_remote(one.md5) == "good"):
            _unlink(path)
            removed.append(one.path)
        else:
            path.touch()  # DVC reads a file again only if its time has changed
    return removed


def remove_from_remote(repo: Repo, remote: HashFileDB, checked: Checked) -> int:
    """Remove corrupt objects, and the lists of all folders that name them or missing ones, so that dvc push sends them
    again; returns the number of these lists, which the cache keeps. Raises what the remote's file system raises."""
    corrupt = {md5 for md5, state in (checked.remote or {}).items() if state == "corrupt"}
    lists = list(_lists_that_name(remote, corrupt | set(incomplete(checked)))) if corrupt or incomplete(checked) else []
    for md5 in lists:
        if object_state(localfs, repo.cache.local.oid_to_path(md5), md5) != "good":
            repo.cache.local.add(remote.oid_to_path(md5), remote.fs, md5, verify=True)
    for md5 in {*corrupt, *lists}:
        remote.fs.remove(remote.oid_to_path(md5))
    index = get_index(remote)
    index.clear()
    index.close()
    return len(lists)


def next_steps(checked: Checked, remote: str | None) -> list[str]:
    """What is to be run after the removal, in this order. `remote` is the name that was given on the command line.

    Where stages have to run again, only the data of others is brought: DVC would not overwrite a corrupt last copy.
    """
    asked = f" -r {remote}" if remote else ""
    again = lost(checked)
    others = [one for one in checked.wanted if one.cached and one.stage not in again]
    pulled = [one.stage for one in others if not checked.in_cache(one.md5)]
    linked = [one.stage for one in others if checked.in_cache(one.md5) and not checked.here(one)]
    # Without this, `dvc checkout` refuses; its --force would remove what may be the only copy of something.
    steps = ["move the files away that are not in dvc.lock"] if checked.additional else []
    if pulled and checked.remote is not None:
        steps.append(f"dvc pull{asked}{_named(pulled + linked) if again else ''}")
    elif linked:
        steps.append(f"dvc checkout{_named(linked) if again or pulled else ''}")
    if again:
        steps.append(f"dvc repro{_named(again)}")
    if "corrupt" in (checked.remote or {}).values() or incomplete(checked):
        steps.append(f"dvc push{asked}")
    return steps


def _named(stages: list[str]) -> str:
    return "".join(f" {stage}" for stage in dict.fromkeys(stages))


def _lists_that_name(remote: HashFileDB, md5s: set[str]) -> Iterator[str]:
    for md5 in [one for one in remote.all() if one.endswith(".dir")]:
        try:
            files = load_list(remote, HashInfo("md5", md5))
        except (UserError, FileNotFoundError):
            continue
        if md5 not in md5s and md5s & {info.value for _, _, info in files}:
            yield md5


def _unlink(path: Path) -> None:
    """Windows does not remove a read-only file, as objects of the cache are."""
    if not path.is_symlink():
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    path.unlink()
