import threading
from dataclasses import replace
from pathlib import Path

import pytest
from settings import jobs

from diffaug.generation.drawing.cache import WorkCache, Writer
from diffaug.runtime.errors import UserError


def test_the_writer_works_behind_and_tells_what_failed(tmp_path: Path) -> None:
    submitted = threading.Event()

    def slow() -> bytes:
        assert submitted.wait(timeout=30)
        return b"x"

    with Writer(threads=1) as writer:
        writer.submit({tmp_path / "a": slow})
        submitted.set()
    assert (tmp_path / "a").read_bytes() == b"x"

    def broken() -> bytes:
        raise UserError("no")

    with pytest.raises(UserError, match="no"), Writer(threads=1) as writer:
        writer.submit({tmp_path / "b": broken})
    assert not (tmp_path / "b").exists()


def test_names_in_the_cache_say_what_an_image_is_made_of(tmp_path: Path) -> None:
    job = jobs(1)[0]
    cache = WorkCache.open(tmp_path, {"weights": "a"})
    changed = [
        job,
        replace(job, seed=1),
        replace(job, prompt="a cat"),
        replace(job, settings=replace(job.settings, eta=1.0)),
    ]
    assert len({cache.path(one, None) for one in changed} | {cache.path(job, "a source")}) == 5
    assert cache.folder != WorkCache.open(tmp_path, {"weights": "b"}).folder
