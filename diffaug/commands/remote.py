"""Opening the remote to which `dvc push` writes, and saying in one line why it cannot be used."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc_data.hashfile.db import HashFileDB

from diffaug.runtime.errors import UserError

_SECONDS_TO_ANSWER = 40
# The names of exceptions: each kind of remote has a library of its own, which need not be installed.
_NO_PLUGIN = {"ImportError", "RemoteMissingDepsError"}
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}
_NO_CREDENTIALS |= {"DefaultCredentialsError", "AuthError", "ClientAuthenticationError"}
_NO_ANSWER = {"ConnectionError", "TimeoutError", "HTTPClientError", "ClientConnectorError", "ServiceRequestError"}


def remote_name(repo: Repo, asked: str | None) -> str | None:
    """The remote that is meant, or None if the project has none. Raises UserError if there is none of that name."""
    name, known = asked or repo.config["core"].get("remote"), ", ".join(sorted(repo.config["remote"]))
    if name and name not in repo.config["remote"]:
        place = "--remote" if asked else ".dvc/config: core.remote"
        raise UserError(f"{place}: found {name!r}; " + (f"allowed are {known}" if known else "no remote is configured"))
    return name


def address(repo: Repo, name: str) -> str:
    """How messages call a remote."""
    return f"remote {name} ({repo.config['remote'][name]['url']})"


def open_remote(repo: Repo, name: str) -> tuple[HashFileDB, str | None]:
    """The remote's objects, and what is to be known of it, if anything. Raises UserError if it cannot be used."""
    config = repo.config["remote"][name]
    if str(config["url"]).startswith("s3://"):  # give up in seconds what takes minutes with the library's own values
        config.setdefault("connect_timeout", 5)
        config.setdefault("read_timeout", 10)
    try:
        remote = repo.cloud.get_remote_odb(name)
        if remote.fs.protocol != "local":
            _within(_SECONDS_TO_ANSWER, lambda: _ask(remote))
            return remote, None
    except Exception as error:  # the kinds are those of the remote's library
        raise UserError(explain(error, repo, name)) from None
    return remote, _folder_note(Path(repo.cloud.get_remote(name).path), address(repo, name))


def explain(error: Exception, repo: Repo, name: str) -> str:
    """One line about what the file system of a remote raised: what is wrong, and what to do."""
    config = repo.config["remote"][name]
    scheme, _, rest = str(config["url"]).partition("://")
    kinds = {kind.__name__ for one in _with_causes(error) for kind in type(one).__mro__}
    said = " ".join(str(error).split())
    if kinds & _NO_PLUGIN:
        reason = f"DVC's plugin for {scheme}:// is not installed; run: pip install 'dvc[{scheme}]'"
    elif isinstance(error, OSError) and error.filename:
        reason = f"{error.filename}: {error.strerror}; correct this and run again"
    elif kinds & _NO_CREDENTIALS:
        reason = f"found no credentials ({said}); for S3 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    elif "PermissionError" in kinds:
        reason = f"the credentials are wrong or do not allow this ({said}); correct them, or ask the remote's owner"
    elif "FileNotFoundError" in kinds:
        bucket = rest.partition("/")[0]
        reason = f"there is no bucket {bucket!r}; create it, or run: dvc remote modify {name} url URL"
    elif kinds & _NO_ANSWER:
        server = config.get("endpointurl", scheme)
        reason = f"the server ({server}) does not answer ({said}); check the network and the address, and try again"
    elif isinstance(error, DvcException):
        reason = f"{said}; correct .dvc/config"
    else:
        reason = f"{type(error).__name__}: {said}"
    return f"{address(repo, name)}: {reason}"


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _ask(remote: HashFileDB) -> None:
    """List it, so that what keeps it from being read is raised."""
    if not remote.fs.CAN_TRAVERSE:
        remote.fs.exists(remote.path)
        return
    try:
        remote.fs.ls(remote.path, detail=False)
    except FileNotFoundError:  # nothing was pushed so far, or its bucket does not exist either
        remote.fs.ls(remote.path.partition("/")[0] or "/", detail=False)


def _within(seconds: float, ask: Callable[[], None]) -> None:
    """Call `ask`, and raise what it raises; TimeoutError if it takes longer. Its thread then ends with the process."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise TimeoutError(f"no answer in {seconds:g} seconds")


def _folder_note(folder: Path, remote: str) -> str | None:
    """What is to be known of a remote that is a folder. Raises UserError if it can neither be read nor made."""
    if folder.is_dir():
        if not os.access(folder, os.R_OK | os.X_OK):
            raise UserError(f"{remote}: the folder is not readable for you; ask its owner")
        if not os.access(folder, os.W_OK):
            return f"{remote}: the folder is not writable for you: dvc pull works, dvc push does not"
        return None
    parent = next(one for one in folder.parents if one.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        wrong = "is not writable for you" if parent.is_dir() else "is no folder"
        raise UserError(f"{remote}: the folder does not exist and cannot be made, since {parent} {wrong}")
    return f"{remote}: the folder does not exist: nothing was pushed to it, or its disk is missing; dvc push makes it"
