"""Types and checks that the sections of params.yaml share."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from diffaug.runtime import endpoints
from diffaug.runtime.text import unseen

_MANY = 10_000_000  # of images, steps or anything else; more is a slip of the keyboard
Count = Annotated[int, Field(ge=0, le=_MANY)]
Positive = Annotated[int, Field(gt=0, le=_MANY)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Context = Annotated[float, Field(ge=1, le=8)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


def visible(text: str) -> str:
    """The text. Raises ValueError if it has control characters, which no picture's text and no table can hold."""
    sign = unseen(text.replace("\n", " ").replace("\t", " "))
    if sign is not None:
        raise ValueError(f"has the character {sign}; remove it")
    return text


Text = Annotated[str, AfterValidator(visible)]


def with_slashes(path: str) -> str:
    """A path as it is written on every system: with / where Windows also writes a backslash."""
    return path.replace("\\", "/")


def _path(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError(
            "has a line break or a tab, since in double quotes \\n and \\t mean these; write / in place of \\"
        )
    return with_slashes(text)


LocalPath = Annotated[Text, AfterValidator(_path)]


def _template(text: str) -> str:
    if "{class}" not in text:
        raise ValueError("must contain {class}, which stands for the class name")
    return text


Template = Annotated[Text, AfterValidator(_template)]


def matching(pattern: str, allowed: str) -> AfterValidator:
    """A check that the whole text matches the pattern; otherwise the error says what is allowed."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(allowed)
        return text

    return AfterValidator(check)


_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_DRIVE = re.compile(r"[A-Za-z]:/")
_COMMIT = re.compile(r"[0-9a-f]{40}")
GENERATOR = "models/generator"  # the output folder of train_gen, so it is not a hub id
LOSSES = "losses.csv"  # in that folder: network, step and mean loss of its training
REVERSE = "reverse.png"  # in that folder: how it draws, step by step
SEEN = "seen.safetensors"  # in a generator's folder: hashes of the images that it was trained on


# A list, or a single value that stands for a list of one.
listed = BeforeValidator(lambda value: value if isinstance(value, list) else [value])


class Section(BaseModel):
    """A mapping of params.yaml. It allows no unknown key, no conversion of types and no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


HubName = Literal["huggingface", "modelscope"]


class ModelName(Section):
    """A network: a hub id with its commit, a local folder, or a .safetensors file. hub: of the id, or of that in
    `config`; without it, the Hugging Face hub."""

    name: LocalPath
    hub: HubName | None = None
    revision: str | None = None
    variant: str | None = None
    config: LocalPath | None = None
    allow_pickle: bool | None = None

    @property
    def on_hub(self) -> bool:
        """Whether the name is a hub id (owner/model); a local path begins with ~, /, . or a drive such as C:,
        or ends with .safetensors."""
        return not (self.name == GENERATOR or is_local(self.name) or _is_file(self.name))

    @property
    def is_file(self) -> bool:
        """Whether the name is a single checkpoint file."""
        return _is_file(self.name)

    @property
    def label(self) -> str:
        """The name in tables and reports: the same id can be another model on another hub."""
        return f"modelscope:{self.name}" if self.hub == "modelscope" and self.on_hub else self.name

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.on_hub:
            check_hub_id(self.name, self.revision, self.hub)
        else:
            check_local(self.name, self.revision, None if "@" in (self.config or "") else self.hub)
        return self


def _is_file(name: str) -> bool:
    return name.endswith((".safetensors", ".ckpt", ".pt", ".pth"))


def is_local(name: str) -> bool:
    """Whether a name is a path: it begins with ~, /, a dot, or a drive of Windows such as C:/."""
    return name.startswith(("~", "/", ".")) or bool(_DRIVE.match(name))


def check_local(name: str, revision: str | None, hub: HubName | None) -> None:
    """Raises ValueError if a local path has a commit or a hub."""
    for key, value in (("revision", revision), ("hub", hub)):
        if value is not None:
            raise ValueError(f"{name!r} is a local path, which cannot have a {key}; remove the {key}")


def check_hub_id(name: str, revision: str | None, hub: HubName | None, datasets: bool = False) -> None:
    """Raises ValueError if a hub id is malformed, or has no commit."""
    if name and Path(name).is_dir():
        raise ValueError(f"{name!r} is read as a name on the hub, but there is a folder of this name; write './{name}'")
    if not _HUB_ID.fullmatch(name):
        allowed = "(owner/dataset), nor" if datasets else f"(owner/model), nor {GENERATOR}, nor"
        raise ValueError(f"{name!r} is neither a hub id {allowed} a path that begins with ./, / or C:/")
    if revision is None or not _COMMIT.fullmatch(revision):
        command = f"git ls-remote {endpoints.git_address(name, hub, datasets)} {revision or 'HEAD'}"
        raise ValueError(
            f"revision of {name} is {revision!r}, but must be a commit of 40 hexadecimal digits, since a "
            f"branch can change; `{command}` prints the commit"
        )


class Release(Section):
    """Weights to download, opened only if the SHA-256 matches: .safetensors, .pth of tensors, or .pt of Ultralytics."""

    url: Annotated[
        str,
        matching(r"https?://.+\.(pt|pth|safetensors)", "give the http or https address of a .pt, .pth or .safetensors"),
    ]
    sha256: Annotated[str, matching(r"[0-9a-f]{64}", "give the file's SHA-256, 64 digits of 0-9 and a-f")]
