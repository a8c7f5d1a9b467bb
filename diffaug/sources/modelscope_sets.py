"""A data set of ModelScope: the files that one of its configs needs, as a folder that the library `datasets` reads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from huggingface_hub.utils import filter_repo_objects

from diffaug.hub.licence import card_head
from diffaug.hub.modelscope import Repository
from diffaug.hub.variants import CARD
from diffaug.params.download import Hub
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.yaml_files import parse_yaml

_CONFIGS = ".huggingface.yaml"  # `datasets` prefers it to the head of README.md


def repository(source: Hub) -> Repository:
    """The data set, whose revision the params have checked."""
    return Repository("dataset", source.name, source.revision or "")


def fetch_config(source: Hub, place: str) -> Path:
    """The folder with all splits of the source's config, downloaded if they are not here.

    Raises UserError, which begins with `place`.
    """
    files, config = needed(source, place)
    folder = repository(source).fetch(files, place)
    if config is not None:
        # `datasets` also looks for the files of the first config, which was perhaps not fetched.
        with atomic_path(folder / _CONFIGS) as temporary:
            temporary.write_text(yaml.safe_dump({"configs": [config]}, allow_unicode=True), encoding="utf-8")
    return folder


def needed(source: Hub, place: str) -> tuple[list[str], dict[str, Any] | None]:
    """The names of the files that the source's config needs, and the config as the set's card states it; None if the
    card states none, and so all files are needed. Raises UserError."""
    there = repository(source)
    names = list(there.files(place))
    card = there.fetch([CARD], place) / CARD if CARD in names else None
    data = [name for name in names if _is_data(name)]
    config = _config(source, _configs(card, place), place) if card is not None else None
    if config is not None:
        below = f"{str(config['data_dir']).strip('/')}/" if config.get("data_dir") else ""
        data = [name for name in data if name.startswith(below)]
        if patterns := list(_patterns(config.get("data_files"))):
            wanted = [below + form for one in patterns for form in (one, one.replace("**/", ""))]
            data = list(filter_repo_objects(data, allow_patterns=wanted))  # * also stands for /, so never too few
        if not data:
            raise UserError(f"{place}: {source.name} has no files of its config {config.get('config_name')!r}")
    return [*([CARD] if card else []), *data], config


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix not in (".py", ".md") and not any(part.startswith((".", "__")) for part in path.parts)


def _configs(card: Path, place: str) -> list[dict[str, Any]]:
    try:
        head = parse_yaml(card_head(card) or "")
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{place}: {card}: its head is not YAML ({' '.join(str(error).split())[:200]})") from None
    found = head.get("configs") if isinstance(head, Mapping) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _config(source: Hub, configs: Sequence[dict[str, Any]], place: str) -> dict[str, Any] | None:
    """The config that the source names, or the default one; None if the card has no configs."""
    if not configs:
        return None
    named = {str(one.get("config_name", "default")): one for one in configs}
    default = next((name for name, one in named.items() if one.get("default") or name == "default"), None)
    wanted = source.config or (next(iter(named)) if len(named) == 1 else default)
    if wanted not in named:
        raise UserError(f"{place}.config: found {source.config!r}; {source.name} has {', '.join(named)}; name one")
    return named[wanted]


def _patterns(files: Any) -> Iterator[str]:
    """Every pattern of names in a config's data_files: a text, a list, or by split."""
    if isinstance(files, str):
        yield files.removeprefix("./")
    elif isinstance(files, list):
        for one in files:
            yield from _patterns(one.get("path") if isinstance(one, dict) else one)
    elif isinstance(files, dict):
        for one in files.values():
            yield from _patterns(one)
