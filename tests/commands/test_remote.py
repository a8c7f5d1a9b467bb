import os
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from dvc.repo import Repo
from moto.server import ThreadedMotoServer
from s3_server import CREDENTIALS, s3_server

from diffaug.commands import remote as remotes
from diffaug.commands.remote import open_remote, remote_name
from diffaug.runtime.errors import UserError


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, ThreadedMotoServer]]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with s3_server() as started:
            yield started


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DVC project, with credentials for the server."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    (tmp_path / "project/.dvc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def said(folder: Path, url: str, **options: str) -> str | None:
    """What is known of a remote at this address, or why it cannot be opened."""
    lines = ["[core]", "no_scm = true", "remote = far", "['remote \"far\"']", f"url = {url}"]
    (folder / ".dvc/config").write_text("\n".join([*lines, *(f"{key} = {value}" for key, value in options.items())]))
    with Repo(folder) as repo:
        try:
            return open_remote(repo, str(remote_name(repo, None)))[1]
        except UserError as error:
            return str(error)


def test_a_bucket_that_is_there(folder: Path, server: tuple[str, ThreadedMotoServer]) -> None:
    assert said(folder, "s3://images/my project", endpointurl=server[0]) is None


def test_no_such_bucket(folder: Path, server: tuple[str, ThreadedMotoServer]) -> None:
    assert said(folder, "s3://imagse/x", endpointurl=server[0]) == (
        "remote far (s3://imagse/x): there is no bucket 'imagse'; create it, or run: dvc remote modify far url URL"
    )


def test_no_credentials(folder: Path, server: tuple[str, ThreadedMotoServer], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for variable in ("HOME", "USERPROFILE"):  # of POSIX, of Windows
        monkeypatch.setenv(variable, str(folder))
    assert said(folder, "s3://images/x", endpointurl=server[0]) == (
        "remote far (s3://images/x): found no credentials (Unable to locate credentials); for S3 set AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY"
    )


def test_wrong_credentials(folder: Path, server: tuple[str, ThreadedMotoServer]) -> None:
    def checks_after(requests: int) -> None:
        address, kind = f"{server[0]}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urlopen(Request(address, data=str(requests).encode(), method="POST", headers=kind)).close()

    checks_after(0)
    try:
        assert said(folder, "s3://images/x", endpointurl=server[0]) == (
            "remote far (s3://images/x): the credentials are wrong or do not allow this (The AWS Access Key Id you "
            "provided does not exist in our records.); correct them, or ask the remote's owner"
        )
    finally:
        checks_after(1_000_000)


@pytest.mark.slow
def test_a_server_that_was_killed(folder: Path) -> None:
    with s3_server() as (address, _):
        pass
    start = time.monotonic()
    found = str(said(folder, "s3://images/x", endpointurl=address))
    assert found.startswith(f"remote far (s3://images/x): the server ({address}) does not answer (Could not connect")
    assert found.endswith("; check the network and the address, and try again") and "\n" not in found
    assert time.monotonic() - start < 45


def test_a_server_that_says_nothing_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "_SECONDS_TO_ANSWER", 0.2)
    monkeypatch.setattr(remotes, "_ask", lambda remote: time.sleep(1))
    assert said(folder, "s3://images/x", endpointurl="http://192.0.2.1") == (
        "remote far (s3://images/x): the server (http://192.0.2.1) does not answer (no answer in 0.2 seconds); check "
        "the network and the address, and try again"
    )


def test_a_plugin_that_is_missing(folder: Path) -> None:
    assert said(folder, "gs://images/x") == (
        "remote far (gs://images/x): DVC's plugin for gs:// is not installed; run: pip install 'dvc[gs]'"
    )


def test_a_remote_that_keeps_versions_itself(folder: Path) -> None:
    found = str(said(folder, "s3://images/x", version_aware="true"))
    assert found.endswith("is unsupported for cloud versioned remotes; correct .dvc/config") and "\n" not in found


def test_a_folder_that_is_not_there(folder: Path) -> None:
    target = folder.parent / "storage"
    assert said(folder, str(target)) == (
        f"remote far ({target}): the folder does not exist: nothing was pushed to it, or its disk is missing; dvc push "
        "makes it"
    )
    target.mkdir()
    assert said(folder, str(target)) is None


def test_a_folder_that_cannot_be_made(folder: Path) -> None:
    (folder / "file").write_text("")
    target = folder / "file/storage"
    assert said(folder, str(target)) == (
        f"remote far ({target}): the folder does not exist and cannot be made, since {folder / 'file'} is no folder"
    )


def test_a_folder_that_is_not_writable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "storage").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # root may write everywhere
    assert said(folder, str(folder / "storage")) == (
        f"remote far ({folder / 'storage'}): the folder is not writable for you: dvc pull works, dvc push does not"
    )
    assert str(said(folder, str(folder / "other"))).endswith(f"cannot be made, since {folder} is not writable for you")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert str(said(folder, str(folder / "storage"))).endswith("the folder is not readable for you; ask its owner")


def test_a_default_remote_without_an_address(folder: Path) -> None:
    (folder / ".dvc/config").write_text("[core]\nno_scm = true\nremote = far\n")
    with Repo(folder) as repo, pytest.raises(UserError, match=r"core\.remote: found 'far'; no remote is configured"):
        remote_name(repo, None)
