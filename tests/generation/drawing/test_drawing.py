import io
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from paths import ROOT
from PIL import Image
from settings import modes, params, source

from diffaug.commands.regenerate import regenerate
from diffaug.dataset.records import make_record, read_set, write_set
from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.engines import draw_all
from diffaug.generation.plan.plan import make_plan
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.segmenting.finding import find_for

CPU = torch.device("cpu")
INPAINT = {"strength": 0.8, "repaint": "background", "padding": 1, "feather": 1}
THREE_MODES = modes(txt2img={}, img2img={"strength": 0.6}, inpaint=INPAINT) | {"per_class": 6}
SCENE = {"weight": 1, "strength": 1.0, "feather": 1, "patches": {"context": 1.5, "per_scene": 2}}
PASTE = {
    **{"weight": 1, "objects": "generated", "items_per_class": 2, "max_objects": 2, "scale": [1.0, 1.0]},
    **{"max_overlap": 0.9, "min_visible": 0.8, "min_labelled": 0.5, "feather": 1},
}
DET = {
    "per_real": 4.0,
    "modes": {
        "img2img": SCENE,
        "inpaint_background": SCENE | {"padding": 1, "prompt": "a photo", "patches": None},
        "inpaint_object": SCENE | {"target_class": "rare"},
        "paste": PASTE,
    },
}


def settings(model: Path, **changes: Any) -> GenerateParams:
    given = {"cls": THREE_MODES, "det": DET, "num_inference_steps": 2, "batch_size": 2}
    return params(model, **given | changes)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: real train sets of two classes and of two scenes."""
    monkeypatch.chdir(tmp_path)
    for task, label in (("cls", 0), ("det", None)):
        records = []
        for number in range(4):
            real = source(150 + 20 * number, None if label is None else number % 2)
            fields = {"label": real.label} if real.label is not None else {"bbox": real.bbox, "category": real.category}
            records.append(make_record(f"{task}-{number}", real.image, "train", **fields))
        write_set(tmp_path / f"data/real/{task}/train", ("cat", "dog"), records[: 4 if task == "cls" else 2])
    return tmp_path


def draw(given: GenerateParams, work: Path, out: Path) -> tuple[int, dict[str, bytes]]:
    """How many images were drawn, and the bytes of all tables."""
    # As `generate` does: the name of an inpainted image has the folder of its mask.
    drawing = Drawing(given, make_plan(given, objects=find_for(given, work)), work, CPU)
    count = draw_all(drawing, given, work)
    write_tables(drawing, given, out / "cls", out / "det")
    return count, {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}


def test_three_modes_at_once_make_labelled_rows_that_say_how(project: Path, random_pipeline: Path) -> None:
    count, _ = draw(settings(random_pipeline), project / "work", project / "out")
    cls, det = read_set(project / "out/cls"), read_set(project / "out/det")
    assert Counter((record.mode, record.label) for record in cls) == {
        (mode, label): 2 for mode in ("txt2img", "img2img", "inpaint") for label in (0, 1)
    }
    assert Counter(record.mode for record in det) == dict.fromkeys(DET["modes"], 2)
    # Every scene has one object: one patch per scene, and four objects for pasting.
    assert count == 12 + 2 + 2 + 2 + 4
    background = next(record for record in det if record.mode == "inpaint_background")
    real = next(record for record in read_set(project / "data/real/det/train") if record.id == background.source_id)
    assert (background.bbox, background.category) == (real.bbox, real.category)
    x, y, width, height = (int(value) for value in real.bbox[0])
    box = (x, y, x + width, y + height)
    assert background.open().crop(box).tobytes() == real.open().crop(box).tobytes()
    row = next(record for record in cls if record.mode == "img2img")
    assert (row.strength, row.steps, row.scheduler, row.guidance_scale) == (0.6, 2, "ddim", 1.5)
    assert row.weights_sha256 and row.model == str(random_pipeline)
    text = Image.open(io.BytesIO(row.image)).info["parameters"]
    assert f"Seed: {row.seed}" in text and "Denoising strength: 0.6" in text and f"diffaug id: {row.id}" in text


def test_finished_images_are_not_drawn_again(
    project: Path, random_pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = settings(random_pipeline)
    first = draw(given, project / "work", project / "first")
    lost = sorted((project / "work").rglob("*.png"))[:2]
    for path in lost:
        path.unlink()
    assert draw(given, project / "work", project / "again") == (2, first[1])
    with monkeypatch.context() as patched:
        patched.setattr("diffaug.generation.drawing.drawing.open_model", None)  # which a finished run does not call
        assert draw(given, project / "work", project / "more") == (0, first[1])


def test_a_damaged_image_of_the_cache_is_drawn_again(project: Path, random_pipeline: Path) -> None:
    given = settings(random_pipeline)
    _, whole = draw(given, project / "work", project / "set")
    plan = make_plan(given)
    drawn = Drawing(given, plan, project / "work", CPU).path(plan.images[0])
    data = bytearray(drawn.read_bytes())
    data[-20] ^= 1
    drawn.write_bytes(data)
    with pytest.raises(
        UserError, match=rf"{drawn.name}: was damaged, and is removed; run `dvc repro` to draw it again"
    ):
        draw(given, project / "work", project / "set")
    count, again = draw(given, project / "work", project / "set")
    assert (count, again) == (1, whole)


def test_a_moved_box_draws_its_scene_again(project: Path, random_pipeline: Path) -> None:
    mode = SCENE | {"padding": 1, "prompt": "", "patches": None}
    given = settings(random_pipeline, det={"per_real": 1.0, "modes": {"inpaint_background": mode}})
    draw(given, project / "work", project / "first")
    real = read_set(project / "data/real/det/train")
    moved = replace(real.records[0], bbox=((5.0, 4.0, 8.0, 6.0),))
    write_set(project / "data/real/det/train", real.names, [moved, *real.records[1:]])
    assert draw(given, project / "work", project / "again")[0] == 1
    wider = settings(random_pipeline, det={"per_real": 1.0, "modes": {"inpaint_background": mode | {"padding": 2}}})
    assert draw(wider, project / "work", project / "wider")[0] == 2  # and no classification image


def test_one_class_with_another_prompt_is_drawn_alone(project: Path, random_pipeline: Path) -> None:
    draw(settings(random_pipeline, det={"per_real": 0.0, "modes": {}}), project / "work", project / "first")
    changed = settings(
        random_pipeline, det={"per_real": 0.0, "modes": {}}, classes={"dog": {"prompt": "a dog in the grass"}}
    )
    assert draw(changed, project / "work", project / "again")[0] == 6


def test_more_images_append_and_leave_the_old_shards_alone(project: Path, random_pipeline: Path) -> None:
    few = draw(settings(random_pipeline), project / "work", project / "few")[1]
    many = settings(random_pipeline, cls=THREE_MODES | {"per_class": 9})
    fresh = draw(many, project / "fresh", project / "out")[1]
    count, grown = draw(many, project / "work", project / "more")
    assert count == 6
    assert grown == fresh
    assert few.keys() == grown.keys()


@pytest.mark.slow
def test_two_processes_make_what_one_makes(project: Path, random_pipeline: Path) -> None:
    alone = draw(settings(random_pipeline), project / "one", project / "alone")
    together = settings(random_pipeline, launch={"engine": "local", "processes": 2})
    write_params(project, together)
    assert draw(together, project / "two", project / "together") == alone


@pytest.mark.slow
def test_a_process_that_fails_is_one_line(project: Path, random_pipeline: Path) -> None:
    together = settings(random_pipeline, launch={"engine": "local", "processes": 2})
    (project / "params.yaml").write_text("seeds: 1\n")  # the processes will read this
    with pytest.raises(UserError, match=r"one of the 2 processes ended early; finished images are kept.*params\.yaml"):
        draw(together, project / "work", project / "out")


@pytest.mark.slow
def test_ray_actors_make_what_one_process_makes(project: Path, random_pipeline: Path) -> None:
    alone = draw(settings(random_pipeline), project / "one", project / "alone")
    spread = settings(random_pipeline, launch={"engine": "ray", "processes": 2})
    assert draw(spread, project / "ray", project / "spread") == alone


@pytest.mark.slow
@pytest.mark.long
def test_a_killed_ray_actor_costs_its_batch_not_the_run(project: Path, random_pipeline: Path) -> None:
    many = {"cls": THREE_MODES | {"per_class": 60}}
    alone = draw(settings(random_pipeline, **many), project / "one", project / "alone")
    spread = settings(random_pipeline, launch={"engine": "ray", "processes": 2}, **many)
    killed: list[int] = []
    killer = threading.Thread(target=_kill_one_actor, args=(project / "ray", killed))
    killer.start()
    try:
        assert draw(spread, project / "ray", project / "spread") == alone
    finally:
        killer.join()
    assert killed


def _kill_one_actor(work: Path, killed: list[int]) -> None:
    """Kill an actor's process as soon as the first image exists."""
    for _ in range(6000):  # an actor's start takes a minute on a busy machine
        time.sleep(0.05)
        if any(work.rglob("*.png")):
            actors = [p for p in psutil.Process().children(recursive=True) if "ray::_Actor" in " ".join(p.cmdline())]
            for process in actors[:1]:
                process.kill()
                killed.append(process.pid)
            return


def write_params(folder: Path, generate: GenerateParams) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["generate"] = generate.model_dump()
    raw["draws"], raw["train_gen"]["method"] = "shared", "none"
    raw["merge"]["ratio"] = 0.1
    folders = {"source": "folder", "path": "photos", "val_fraction": 0.2, "test_fraction": 0.3}
    raw["download"] |= {"cls": folders, "unseen_by": None}
    (folder / "params.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")


@pytest.mark.slow
def test_regenerating_gives_the_same_bytes(project: Path, random_pipeline: Path) -> None:
    given = settings(random_pipeline)
    draw(given, project / "work", project / "out")
    drawing = Drawing(given, make_plan(given), project / "other", CPU)
    for record in [*read_set(project / "out/cls"), *read_set(project / "out/det")]:
        assert regenerate(drawing, given, record.id) == record.image, record.id
    with pytest.raises(UserError, match="plans no image with this id"):
        regenerate(drawing, given, "img2img-999999")


def test_writing_a_large_set_keeps_the_memory_of_a_few_images(tmp_path: Path) -> None:
    from diffaug.dataset.records import write_shards
    from diffaug.generation.composing.tables import _shards

    data = source().image + bytes(200_000)
    numbers = _shards(("txt2img", number, number) for number in range(3000))
    rows = ((name, (make_record(f"{n:06d}", data, "train", label=0) for n in members)) for name, members in numbers)
    before = psutil.Process().memory_info().rss
    write_shards(tmp_path / "set", ("cat",), rows)
    grown = psutil.Process().memory_info().rss - before
    assert sum(path.stat().st_size for path in (tmp_path / "set").iterdir()) > 0
    assert grown < 300 * 2**20, "600 MB of images were written"
