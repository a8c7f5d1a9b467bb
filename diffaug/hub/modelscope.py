"""Models and data sets of ModelScope, through its own client: at a commit, only the files that are needed, each checked
by the SHA-256 that the hub's list of files states. What is on this disk is used without asking the hub again."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from diffaug.hub.configs import read_facts
from diffaug.hub.parts import INDEX, parts
from diffaug.hub.variants import CARD, Kind, needed
from diffaug.params.base import ModelName
from diffaug.runtime import endpoints
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path

_HASH = re.compile(r"[0-9a-f]{64}")


class File(BaseModel):
    """A file of the hub's list; sha256: "" if the list does not state it."""

    model_config = ConfigDict(strict=True)

    size: int
    sha256: str


class _Listing(BaseModel):
    model_config = ConfigDict(strict=True)

    files: dict[str, File]


@dataclass(frozen=True)
class Repository:
    """A model or data set at a commit, and its folder in the cache, to which only checked files are moved."""

    kind: Literal["model", "dataset"]
    name: str
    revision: str

    @property
    def folder(self) -> Path:
        """Below MODELSCOPE_CACHE, beside what ModelScope's own programs keep there."""
        return _config().cache_dir / "diffaug" / f"{self.kind}s" / self.name.replace("/", "--") / self.revision

    def files(self, place: str) -> dict[str, File]:
        """The hub's list of all files, asked for once and then kept. Raises UserError, which begins with `place`."""
        kept = self.folder.with_name(f"{self.revision}.json")
        if not kept.exists():
            with self._asking(place, ["all files"]):
                found = _client().list_repo_files(self.name, self.kind, revision=self.revision)
            entries = {
                one.path: File(size=one.size, sha256=(one.sha256 or "").lower()) for one in found if one.type != "tree"
            }
            if not entries:
                raise UserError(f"{place}: {self.name} at {self.revision} has no files; check name and revision")
            with atomic_path(kept) as temporary:
                temporary.write_text(_Listing(files=entries).model_dump_json(), encoding="utf-8")
        return read_facts(kept, _Listing, f"remove it, and {self.command} makes it again").files

    def absent(self, names: Sequence[str], place: str) -> list[str]:
        """Which of these files are not in the folder."""
        files = self.files(place)
        paths = {name: self.folder / name for name in names}
        return [name for name, path in paths.items() if not path.is_file() or path.stat().st_size != files[name].size]

    def fetch(self, names: Sequence[str], place: str) -> Path:
        """The folder with at least these files. An interrupted download goes on where it was.

        Raises UserError, which begins with `place`, if the hub does not give them, or others than its list states.
        """
        files, absent = self.files(place), self.absent(names, place)
        for name in absent:
            if not (self.folder / name).resolve().is_relative_to(self.folder.resolve()):
                raise UserError(f"{place}: {self.name} has a file {name!r}, which is outside its folder; take another")
            if not _HASH.fullmatch(files[name].sha256):
                raise UserError(
                    f"{place}: ModelScope states no SHA-256 of {name} of {self.name}, so it cannot be checked; take "
                    "another revision or model"
                )
        if absent:
            wanted = [{"Path": name, "Size": files[name].size, "Sha256": files[name].sha256} for name in absent]
            with self._asking(place, absent):
                _client().download_repo(
                    self.name, self.kind, revision=self.revision, local_dir=self.folder, file_list=wanted
                )
        return self.folder

    @property
    def command(self) -> str:
        """The command that fetches what the params need of it."""
        return "`diffaug fetch`"

    @contextmanager
    def _asking(self, place: str, absent: Sequence[str]) -> Iterator[None]:
        """Turns the errors of the client into one line."""
        from modelscope_hub import errors

        try:
            yield
        except (errors.HubError, OSError, ValueError) as error:
            first = next(iter(getattr(error, "failed_files", {}).items()), None)
            file, cause = first or ("", error)
            if isinstance(cause, OSError) and not isinstance(cause, errors.HubError) and cause.errno is not None:
                raise cause from None  # of this disk: it is full, say
            said = " ".join(str(getattr(cause, "message", cause)).split())[:300].rstrip(".")
            what, address = f"{place}: {self.name} at {self.revision}", endpoints.modelscope()
            if isinstance(cause, errors.FileIntegrityError):
                raise UserError(
                    f"{what}: {file} is not the file of which ModelScope states the SHA-256 ({said}); it was removed "
                    "unopened; run again, or take another revision"
                ) from None
            if isinstance(cause, errors.AuthenticationError | errors.PermissionDeniedError):
                raise UserError(
                    f"{what}: {address} does not give access ({said}); accept its terms at "
                    f"{address}/{self.kind}s/{self.name}, and put your token into the environment variable "
                    "MODELSCOPE_API_TOKEN"
                ) from None
            if isinstance(cause, errors.NotExistError):
                git = endpoints.git_address(self.name, "modelscope", self.kind == "dataset")
                raise UserError(
                    f"{what} is not on {address} ({said}); check name and revision: `git ls-remote {git}` prints the "
                    "commits"
                ) from None
            raise UserError(
                f"{what} is not complete on this machine, and {address} did not provide it ({said}); absent: "
                f"{', '.join(absent)}; {self.command} fetches it with a network"
            ) from None


def fetch(model: ModelName, kind: Kind, place: str) -> Path:
    """The folder of a model, downloaded if it is not here. Raises UserError, which begins with `place`."""
    return of(model).fetch(_needed(model, kind, place), place)


def folder_here(model: ModelName, file: str) -> Path | None:
    """The model's folder in the cache, if this file of it is there."""
    folder = of(model).folder
    return folder if (folder / file).is_file() else None


def absent(model: ModelName, kind: Kind, place: str) -> int:
    """The bytes of the files that `fetch` would download. Raises UserError."""
    repository = of(model)
    files = repository.files(place)
    return sum(files[name].size for name in repository.absent(_needed(model, kind, place), place))


def resume(model: ModelName, kind: Kind, place: str) -> None:
    """Download a model; what a killed download left is used, as `fetch` does. Raises UserError."""
    fetch(model, kind, place)


def card(model: ModelName) -> Path | None:
    """The model's card, if there is one and it can be had."""
    try:
        return of(model).fetch([CARD], "") / CARD if CARD in of(model).files("") else None
    except UserError:
        return None


def command(model: ModelName) -> str:
    """The command that fetches the model."""
    return of(model).command


def of(model: ModelName) -> Repository:
    """The repository of a model, whose revision the params have checked."""
    return Repository("model", model.name, model.revision or "")


def _needed(model: ModelName, kind: Kind, place: str) -> list[str]:
    """The names of the files; of a pipeline, its parts are read before anything else is fetched."""
    names = list(of(model).files(place))
    read = kind != "network" and INDEX in names
    return needed(kind, names, parts(of(model).fetch([INDEX], place)) if read else {}, model, place)


def _config() -> Any:
    os.environ.setdefault("MODELSCOPE_LOG_LEVEL", "CRITICAL")  # it logs to the terminal what the errors say again
    os.environ.setdefault("MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT", "604800")  # its hour is short for a large file
    from modelscope_hub.config import HubConfig

    return HubConfig(endpoint=endpoints.modelscope())


def _client() -> Any:
    config = _config()
    from modelscope_hub import HubApi

    return HubApi(config)
