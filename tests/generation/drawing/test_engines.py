import weakref
from pathlib import Path

import pytest
import torch
from settings import params

from diffaug.dataset.records import ImageSet
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.engines import actors_of
from diffaug.generation.plan.jobs import Plan
from diffaug.runtime.errors import UserError


@pytest.mark.parametrize(
    ("wanted", "have", "apple", "count"),
    [(None, 8, False, 8), (3, 8, False, 3), (None, 8, True, 1), (2, 8, True, 2)],
)
def test_a_mac_has_one_gpu_whatever_its_cores(
    monkeypatch: pytest.MonkeyPatch, wanted: int | None, have: int, apple: bool, count: int
) -> None:
    """Ray counts its cores: each would have opened the model on the same GPU."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)
    assert actors_of(wanted, have) == count


def test_more_actors_than_devices_are_refused() -> None:
    with pytest.raises(UserError, match=r"launch\.processes: 9, but the Ray cluster has 8; lower it"):
        actors_of(9, 8)
    with pytest.raises(UserError, match=r"launch\.processes: 1, but the Ray cluster has 0; lower it"):
        actors_of(None, 0)


def test_the_memory_of_apples_gpu_is_freed_for_the_processes_that_draw(
    random_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[str] = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: freed.append("mps"))
    none = ImageSet((), ())
    drawing = Drawing(params(random_pipeline), Plan(none, none, (), (), (), ()), tmp_path, torch.device("cpu"))
    unet = weakref.ref(drawing.sampler.model.pipeline.unet)
    assert unet() is not None
    drawing.release()
    assert unet() is None and freed == ["mps"]
