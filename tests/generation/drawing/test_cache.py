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


@pytest.mark.parametrize(("error", "kept"), [(MemoryError, ["a", "b"]), (KeyboardInterrupt, ["a"])])
def test_what_is_drawn_is_written_after_an_error_but_not_after_ctrl_c(
    tmp_path: Path, error: type[BaseException], kept: list[str]
) -> None:
    started, ended = threading.Event(), threading.Event()

    def slow() -> bytes:
        started.set()
        assert ended.wait(timeout=30)
        return b"x"

    with pytest.raises(error), Writer(threads=1) as writer:
        writer.submit({tmp_path / "a": slow, tmp_path / "b": lambda: b"x"})
        assert started.wait(timeout=30)
        threading.Timer(0.2, ended.set).start()  # while the writer is left
        raise error
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


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
