"""From a model's name in the params to its files on this disk: checked, complete, and without pickles."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from diffaug.hub import huggingface, modelscope
from diffaug.hub.checkpoints import CARRIED, Checkpoint, carried_folder, recognise
from diffaug.hub.configs import SMALL_FILES, check_small_files
from diffaug.hub.licence import card_licence
from diffaug.hub.parts import CONFIG, INDEX, check_parts, missing, parts, refuse_pickles
from diffaug.hub.pickled import convert_file
from diffaug.hub.variants import CARD, Kind, opened
from diffaug.params.base import GENERATOR, ModelName
from diffaug.runtime.errors import UserError
from diffaug.runtime.hashes import weights_sha256

# Each has the same functions: fetch, folder_here, resume, absent, card, command.
HUBS = {None: huggingface, "huggingface": huggingface, "modelscope": modelscope}


@dataclass(frozen=True)
class Located:
    """A model's files. `path`: a folder in the hub's layout, or a single checkpoint file; `sha256`: of its weights and
    configuration; `weights`: the .safetensors files of a pipeline; `config`: the folder of a single file's
    configuration; `note`: what was assumed about it."""

    name: str
    revision: str | None
    path: Path
    sha256: str
    licence: str | None
    weights: tuple[Path, ...] = ()
    config: Path | None = None
    note: str | None = None


def locate_pipeline(model: ModelName, key: str) -> Located:
    """A pipeline's files, downloaded if the name is a hub id. `key`: the parameter, for the messages of UserError."""
    if model.is_file:
        return _locate_file(model, key)
    folder = _folder(model, "pipeline", key)
    if not (folder / INDEX).exists():
        made_by = "run `dvc repro train_gen`" if model.name == GENERATOR else "it is not in the hub's pipeline layout"
        raise UserError(f"params.yaml: {key}: {folder} has no model_index.json; {made_by}")
    components = parts(folder)
    _refuse_missing(model, key, folder, components)
    check_parts(folder, components)
    if not model.allow_pickle:
        refuse_pickles(model, key, folder, components)
    files = [path for name in components for path in loaded_files(folder / name, model.variant)]
    return Located(
        name=model.label,
        revision=model.revision,
        path=folder,
        sha256=files_sha256(folder, [folder / INDEX, *files]),
        licence=_licence(model, folder),
        weights=tuple(path for path in files if path.suffix == ".safetensors"),
    )


def locate_network(model: ModelName, key: str) -> Located:
    """A single network's files: a ControlNet, a tiny VAE, a depth or segmentation model."""
    folder = _folder(model, "network", key)
    if not (folder / CONFIG).exists():
        raise UserError(f"params.yaml: {key}: {folder} has no config.json, so it is not a network in the hub's layout")
    check_small_files(folder)
    files = loaded_files(folder, model.variant)
    if not any(path.suffix == ".safetensors" for path in files):
        raise UserError(f"params.yaml: {key}: {folder} has no .safetensors weights; take a release that has")
    return Located(model.label, model.revision, folder, files_sha256(folder, files), _licence(model, folder))


def files_here(model: ModelName, key: str) -> tuple[Path, list[Path]] | None:
    """The folder of a pipeline's configurations, and its weight files; None if a hub would have to be asked for them.

    Nothing is downloaded, hashed or opened. Raises UserError if the files are damaged.
    """
    if model.is_file:
        path, found = single_file(model, key)
        if config_on_hub(model, key) is not None or path.suffix != ".safetensors":
            return None
        return carried_folder(found.kind) if found else config_folder(model, key), [path]
    folder = folder_here(model, INDEX)
    if folder is None:
        return None
    return folder, [file for name in parts(folder) for file in loaded_files(folder / name, model.variant)]


def folder_here(model: ModelName, file: str) -> Path | None:
    """The folder of a model on this disk, if it has this file and, of a pipeline, its parts are complete."""
    folder = HUBS[model.hub].folder_here(model, file) if model.on_hub else Path(model.name).expanduser()
    if folder is None or not (folder / file).is_file():
        return None
    return None if file == INDEX and missing(folder, parts(folder)) else folder


def config_folder(model: ModelName, key: str) -> Path:
    """The folder of configurations with which a single checkpoint file is read (no weights).

    `model.config` is the name of a carried configuration, a local folder, or a hub id with its commit, as
    owner/model@commit.
    """
    config = model.config or ""
    if config in CARRIED:
        return carried_folder(config)
    pinned = config_on_hub(model, key)
    if pinned is not None:
        folder = HUBS[pinned.hub].fetch(pinned, "configuration", f"params.yaml: {key}.config")
    else:
        folder = Path(config).expanduser()
        if not (folder / INDEX).exists():
            raise UserError(
                f"params.yaml: {key}.config: {config!r} is not a folder with a model_index.json, nor one of "
                f"{', '.join(CARRIED)}"
            )
    check_parts(folder, parts(folder))
    return folder


def config_on_hub(model: ModelName, key: str) -> ModelName | None:
    """The hub id in `model.config`; None if it is a folder or not given. Raises UserError if it is malformed."""
    name, _, revision = (model.config or "").partition("@")
    if not revision:
        return None
    try:
        return ModelName(name=name, revision=revision, hub=model.hub)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UserError(f"params.yaml: {key}.config: {model.config!r}: {reason}") from None


def single_file(model: ModelName, key: str) -> tuple[Path, Checkpoint | None]:
    """A single checkpoint file, and what it is from a look at its head, unless `model.config` says it.

    Raises UserError if it cannot be opened.
    """
    path = Path(model.name).expanduser()
    if not path.is_file():
        raise UserError(f"params.yaml: {key}: {path} is not a file; give the path of a checkpoint")
    pickled = path.suffix != ".safetensors"
    if pickled and not model.allow_pickle:
        raise UserError(f"params.yaml: {key}: {path} is pickled, and opening it can run any code; {convert_file(path)}")
    if pickled and model.config is None:
        raise UserError(
            f"params.yaml: {key}: {path} is not a .safetensors file, so it needs config; {convert_file(path)}"
        )
    return path, recognise(path, key) if model.config is None else None


def files_sha256(folder: Path, files: list[Path]) -> str:
    """A hash of the names (relative to `folder`) and bytes of these files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{weights_sha256(path)}\n".encode())
    return digest.hexdigest()


def _locate_file(model: ModelName, key: str) -> Located:
    path, found = single_file(model, key)
    # The configuration sets the noise schedule and the scales, so it belongs to the model.
    config = carried_folder(found.kind) if found else config_folder(model, key)
    small = [item for item in config.rglob("*") if item.is_file() and item.suffix in SMALL_FILES]
    content = f"{weights_sha256(path)} {files_sha256(config, small)}"
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    weights = (path,) if path.suffix == ".safetensors" else ()
    return Located(path.name, None, path, sha256, None, weights, config, found.note if found else None)


def _folder(model: ModelName, kind: Kind, key: str) -> Path:
    if model.on_hub:
        return HUBS[model.hub].fetch(model, kind, f"params.yaml: {key}")
    folder = Path(model.name).expanduser()
    if not folder.is_dir():
        made_by = "run `dvc repro train_gen`" if model.name == GENERATOR else "give the path of a folder"
        raise UserError(f"params.yaml: {key}: {folder} is not a folder; {made_by}")
    return folder


def _refuse_missing(model: ModelName, key: str, folder: Path, found: dict[str, str]) -> None:
    absent = missing(folder, found)
    if absent:
        fetch = f"; {HUBS[model.hub].command(model)} fetches them" if model.on_hub else ""
        raise UserError(f"params.yaml: {key}: {folder} is not complete; absent: {', '.join(absent)}{fetch}")


def loaded_files(part: Path, variant: str | None) -> list[Path]:
    """The files that opening this part reads."""
    return [part / name for name in opened((path.name for path in part.glob("*")), variant)]


def _licence(model: ModelName, folder: Path) -> str | None:
    """From the model card: `license_name` if given, otherwise `license`; None if neither is given."""
    card: Path | None = folder / CARD
    if model.on_hub and not (folder / CARD).exists():
        card = HUBS[model.hub].card(model)
    return card_licence(card) if card is not None and card.is_file() else None
