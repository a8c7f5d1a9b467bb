"""What `download` would fetch: the published data set that a source names, if its files are not on this disk."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import DatasetBuilder
from huggingface_hub import HfApi, RepoFile, hf_hub_download

from diffaug.hub.huggingface import UNREACHABLE
from diffaug.hub.licence import card_licence
from diffaug.hub.needs import Need, size_of
from diffaug.hub.resuming import fetch_large
from diffaug.hub.variants import CARD
from diffaug.params.download import Bccd, FashionMnist, Hub, OxfordPetBoxes, Torchvision
from diffaug.sources import bccd
from diffaug.sources.hf import loading, open_builder
from diffaug.sources.modelscope_sets import fetch_config, needed, repository
from diffaug.sources.published import SETS, open_parts


def set_need(source: Any, task: str, work: Path) -> Need | None:
    """The source's data set; None if it needs no download. work: the folder of `download`. Raises UserError."""
    key = f"download.{task}"
    if isinstance(source, Bccd):
        folder = work / "bccd"
        return Need(key, "BCCD", 0 if folder.exists() else bccd.BYTES, "mit", partial(bccd.fetch, folder))
    if isinstance(source, FashionMnist | Torchvision | OxfordPetBoxes):
        name = source.name if isinstance(source, Torchvision) else source.source
        size = 0 if (work / "torchvision" / name).exists() else _of_sites(SETS[name].urls)
        return Need(key, name, size, None, partial(open_parts, SETS[name], name, work))
    if not isinstance(source, Hub) or source.on_disk:
        return None
    return _of_modelscope(source, key) if source.hub == "modelscope" else _of_hugging_face(source, task, work)


def _of_sites(urls: Sequence[str]) -> int | None:
    sizes = [size_of(url) for url in urls]
    return None if None in sizes or not sizes else sum(size or 0 for size in sizes)


def _of_modelscope(source: Hub, key: str) -> Need:
    there, (names, _) = repository(source), needed(source, key)
    files = there.files(key)
    card = there.fetch([CARD], key) / CARD if CARD in files else None
    size = sum(files[name].size for name in there.absent(names, key))
    return Need(key, f"modelscope {_label(source)}", size, _licence(card), partial(fetch_config, source, key))


def _of_hugging_face(source: Hub, task: str, work: Path) -> Need:
    builder = open_builder(source, source.name, work, task)
    size = 0 if Path(builder.cache_dir).exists() else _size(source, builder)

    def get() -> None:
        with loading(source, task):
            fetch_large(source.name, source.revision, _paths(source, builder), "dataset", f"download.{task}")
            builder.download_and_prepare()

    return Need(f"download.{task}", _label(source), size, _licence(_card(source)), get)


def _label(source: Hub) -> str:
    config = f", config {source.config}" if source.config else ""
    return f"data set {source.name} at {(source.revision or '')[:12]}{config}"


def _licence(card: Path | None) -> str | None:
    return card_licence(card) if card is not None else None


def _card(source: Hub) -> Path | None:
    try:
        return Path(hf_hub_download(source.name, CARD, repo_type="dataset", revision=source.revision))
    except UNREACHABLE:
        return None


def _size(source: Hub, builder: DatasetBuilder) -> int | None:
    """The bytes of the files of the builder's config, if the hub states them."""
    paths = _paths(source, builder)
    try:
        found = HfApi().get_paths_info(source.name, paths, repo_type="dataset", revision=source.revision)
    except UNREACHABLE:
        return None
    return sum(one.size for one in found if isinstance(one, RepoFile))


def _paths(source: Hub, builder: DatasetBuilder) -> list[str]:
    """The files of the builder's config."""
    files = builder.config.data_files or {}
    start = f"hf://datasets/{source.name}@{source.revision}/"
    return [str(file).removeprefix(start) for split in files.values() for file in split]
