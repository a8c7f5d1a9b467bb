"""Scores are computed once: a threshold only selects, and only a change of its input computes a score again."""

from pathlib import Path
from typing import Any

import pytest
from sets import made, noise, real, write_material

from diffaug.dataset.provenance import Composition, DrawnPart, Part, Provenance
from diffaug.params.filter import NOT_SCORES, ClsChecks, DetChecks
from diffaug.runtime.errors import UserError
from diffaug.scoring import degenerate
from diffaug.scoring import hash as hashes
from diffaug.scoring.material import Material
from diffaug.scoring.scores import _local_files, active, measure_all, score_module

DEGENERATE = {"min_std": 8.0, "min_entropy": 0.0, "min_sharpness": 0.0, "flagged": "reject"}
FAR = {"min_train": 3.0, "min_heldout": 4.0, "min_generated": 2.0}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Records which scores have been computed."""
    monkeypatch.chdir(tmp_path)
    done: list[str] = []
    for module in (degenerate, hashes):

        def counted(material: Material, params: Any, measure: Any = module.measure, name: str = module.__name__) -> Any:
            done.append(name.rpartition(".")[2])
            return measure(material, params)

        monkeypatch.setattr(module, "measure", counted)
    return done


def material(root: Path, count: int = 3) -> Material:
    images = [made(f"g{n}", noise(n)) for n in range(count)]
    return write_material(root, images, train=[real("t0", noise(99), "train")])


def checks(**sections: Any) -> ClsChecks:
    return ClsChecks.model_validate({"degenerate": DEGENERATE, "hash": FAR} | sections)


def test_a_threshold_takes_no_score_again(calls: list[str], tmp_path: Path) -> None:
    rows = measure_all(checks(), material(tmp_path), tmp_path)
    assert calls == ["degenerate", "hash"]
    again = measure_all(checks(hash=FAR | {"min_train": 60.0}), material(tmp_path), tmp_path)
    assert calls == ["degenerate", "hash"] and again == rows
    assert measure_all(checks(hash=FAR | {"min_heldout": "auto"}), material(tmp_path), tmp_path) == rows
    assert calls == ["degenerate", "hash"]


def test_another_image_takes_them_again(calls: list[str], tmp_path: Path) -> None:
    assert len(measure_all(checks(), material(tmp_path), tmp_path)) == 3
    assert len(measure_all(checks(), material(tmp_path, 4), tmp_path)) == 4
    assert calls == ["degenerate", "hash"] * 2


def test_without_its_section_a_score_is_gone_and_the_others_stay(calls: list[str], tmp_path: Path) -> None:
    whole = measure_all(checks(), material(tmp_path), tmp_path)
    calls.clear()
    rows = measure_all(checks(hash=None), material(tmp_path), tmp_path)
    assert calls == []
    assert rows == [{key: value for key, value in row.items() if not key.startswith("hash")} for row in whole]
    assert measure_all(ClsChecks(), material(tmp_path), tmp_path) == [{}, {}, {}]


def test_weights_of_this_disk_are_known_by_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("head.safetensors", "model/weights.bin"):
        (tmp_path / name).write_bytes(b"old")
    settings = {
        "model": {"name": str(tmp_path / "model"), "revision": None},
        "head": str(tmp_path / "head.safetensors"),
    }
    before = list(_local_files(settings))
    assert len(before) == 2
    for name in ("head.safetensors", "model/weights.bin"):
        (tmp_path / name).write_bytes(b"new")
        after = list(_local_files(settings))
        assert after != before
        before = after
    assert list(_local_files({"model": {"name": "openai/clip", "revision": "0" * 40}, "prompt": "a {class}"})) == []


def test_every_section_has_its_module() -> None:
    sections = {**ClsChecks.model_fields, **DetChecks.model_fields}
    for name in sections.keys() - set(NOT_SCORES):
        module = score_module(name)
        section = sections[name].annotation.__args__[0]
        assert set(module.MEASURED_BY) <= set(section.model_fields)
    assert list(active(checks())) == ["degenerate", "hash"]


def test_pixels_that_a_mode_protects_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any requested scores."""
    monkeypatch.chdir(tmp_path)
    part = DrawnPart(Part((0, 0, 8, 8)), "a photo", 0, 0.5)
    how = Provenance(source_id="t0", mode="img2img", composition=Composition(parts=(part,)))
    scene = made("g0", noise(2), None, **how.columns())
    given = write_material(tmp_path, [scene], train=[real("t0", noise(1), "train", None)], task="det")
    with pytest.raises(UserError, match="1 scenes differ from their photographs in pixels that their modes protect"):
        measure_all(DetChecks(), given, tmp_path)
