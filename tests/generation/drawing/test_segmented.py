"""Photographs whose objects a network or GrabCut finds: their background drawn anew, their objects pasted elsewhere."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from default_params import raw
from paths import ROOT
from segmenters import ellipses, inside
from settings import modes, params

from diffaug.commands.regenerate import regenerate
from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record, read_set, write_set
from diffaug.generation.composing.tables import write_tables
from diffaug.generation.drawing.drawing import Drawing
from diffaug.generation.drawing.engines import draw_all
from diffaug.generation.plan.plan import make_plan
from diffaug.params import load_params
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError
from diffaug.segmenting.finding import find_for, finding

CPU = torch.device("cpu")
INPAINT = {"strength": 1.0, "repaint": "background", "padding": 0, "feather": 0}
PASTE = {
    **{"weight": 1, "objects": "train", "items_per_class": 2, "max_objects": 1, "scale": [0.5, 0.5]},
    **{"max_overlap": 0.9, "min_visible": 1.0, "min_labelled": 0.5, "feather": 0},
}
SIZE, BOX = (64, 64), (16, 16, 48, 48)
SCENE, LEFT, RIGHT = (110, 60), (8, 10, 40, 42), (64, 12, 98, 46)


@pytest.fixture(autouse=True)
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder: photographs with an object in the middle, one without; two scenes of two."""
    monkeypatch.chdir(tmp_path)
    images = []
    for number, name in enumerate(["cat", "dog", "cat", "dog"]):
        box = (BOX[0] - number, BOX[1], BOX[2] - number, BOX[3])
        images.append(make_record(f"cls-{number}", encode_png(ellipses(SIZE, {box: name})), "train", label=number % 2))
    corner = ellipses(SIZE, {(2, 2, 14, 14): "cat"})
    images.append(make_record("cls-corner", encode_png(corner), "train", label=0))
    write_set(Path("data/real/cls/train"), ("cat", "dog"), images)
    scenes = [scene(f"det-{number}", (LEFT[0] + number, *LEFT[1:3], LEFT[3])) for number in range(2)]
    write_set(Path("data/real/det/train"), ("cat", "dog"), scenes)


def scene(id: str, left: tuple[int, int, int, int]) -> Record:
    boxes = (left, RIGHT)
    picture = ellipses(SCENE, {left: "cat", RIGHT: "dog"})
    sides = tuple((float(x), float(y), float(r - x + 1), float(b - y + 1)) for x, y, r, b in boxes)
    return make_record(id, encode_png(picture), "train", bbox=sides, category=(0, 1))


def given(model: Path | str, segmenter: Path | None, **changes: Any) -> GenerateParams:
    own = {"num_inference_steps": 2, "batch_size": 2, "cls": {"per_class": 0, "modes": {}}}
    own |= {"det": {"per_real": 0, "modes": {}}, "segmenter": {"name": str(segmenter)} if segmenter else None}
    return params(model, **own | changes)


def draw(chosen: GenerateParams, work: Path = Path("work"), out: Path = Path("out")) -> tuple[int, dict[str, bytes]]:
    """As the stage does it: how many images were drawn, and the bytes of all tables."""
    with finding(chosen, work) as objects:
        plan = make_plan(chosen, objects=objects)
    drawing = Drawing(chosen, plan, work, CPU)
    count = draw_all(drawing, chosen, work)
    write_tables(drawing, chosen, out / "cls", out / "det")
    return count, {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.parquet"))}


@pytest.mark.parametrize("network", [True, False])
def test_the_background_of_a_photograph_is_drawn_anew(random_pipeline: Path, taught_sam: Path, network: bool) -> None:
    chosen = given(random_pipeline, taught_sam if network else None, cls=modes(inpaint=INPAINT))
    count, _ = draw(chosen)
    real = {record.id: record for record in read_set(Path("data/real/cls/train"))}
    made = list(read_set(Path("out/cls")))
    assert count == len(made) == 8 and {record.source_id for record in made} == {f"cls-{n}" for n in range(4)}
    for record in made:
        source = real[record.source_id or ""]
        shift = int(source.id[-1])
        same = (np.asarray(record.open()) == np.asarray(source.open())).all(axis=2)
        wanted = inside(SIZE, (BOX[0] - shift, BOX[1], BOX[2] - shift, BOX[3]))
        assert same[wanted].mean() > 0.85 and same[~wanted].mean() < 0.3
        assert ("segmenter_sha256" in (record.settings or "")) is network


def test_the_stage_says_in_how_many_images_no_object_was_found(
    random_pipeline: Path, taught_sam: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = runpy.run_path(str(ROOT / "stages/generate.py"))["generate"]
    for segmenter, more in ((None, "; a network in generate.segmenter finds more"), (taught_sam, "")):
        write_params(given(random_pipeline, segmenter, cls=modes(inpaint=INPAINT)))
        done = stage(load_params(), Path("work"))
        assert done == {"images": 8, "scenes": 0}
        said = capsys.readouterr().out
        assert (
            "generate: note: cls.modes.inpaint: no object was found in 1 of 5 train images, which it leaves out"
            f"{more}\n"
        ) in said


@pytest.mark.slow
def test_any_number_of_processes_sees_the_same_masks(random_pipeline: Path, taught_sam: Path) -> None:
    """The workers read those that this process has found."""
    chosen = given(random_pipeline, taught_sam, cls=modes(inpaint=INPAINT))
    one = draw(chosen, Path("one"), Path("out-one"))
    two = chosen.model_copy(update={"launch": chosen.launch.model_copy(update={"processes": 2})})
    write_params(two)
    assert draw(two, Path("two"), Path("out-two")) == one
    assert masks(Path("one")) == masks(Path("two")) != {}


def write_params(chosen: GenerateParams) -> None:
    """params.yaml for the processes."""
    content = raw() | {"generate": chosen.model_dump(), "draws": "shared"}
    content["download"] |= {"unseen_by": None, "det": None}
    content["merge"] |= {"ratio": 0.1}
    Path("params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def masks(work: Path) -> dict[str, bytes]:
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in sorted((work / "masks").rglob("*.png"))}


def test_what_was_drawn_with_one_network_is_not_taken_for_another(random_pipeline: Path, taught_sam: Path) -> None:
    inpaint = modes(inpaint=INPAINT, txt2img={})
    assert draw(given(random_pipeline, taught_sam, cls=inpaint))[0] == 8
    assert draw(given(random_pipeline, taught_sam, cls=inpaint))[0] == 0
    assert draw(given(random_pipeline, None, cls=inpaint))[0] == 4  # not those from the prompt alone


def test_an_image_of_a_photograph_can_be_made_again(random_pipeline: Path, taught_sam: Path) -> None:
    chosen = given(random_pipeline, taught_sam, cls=modes(inpaint=INPAINT))
    draw(chosen)
    record = next(iter(read_set(Path("out/cls"))))
    drawing = Drawing(chosen, make_plan(chosen, objects=find_for(chosen, Path("work"))), Path("work"), CPU)
    assert regenerate(drawing, chosen, record.id) == record.image


def test_a_plan_of_another_network_than_the_params_name_is_not_made(taught_sam: Path) -> None:
    with pytest.raises(AssertionError):
        make_plan(given("./none", taught_sam, cls=modes(inpaint=INPAINT)))


def test_where_no_photograph_of_a_class_has_an_object_the_message_names_the_network(
    random_pipeline: Path, taught_clipseg: Path
) -> None:
    write_set(Path("data/real/cls/train"), ("cat", "dog"), [read_set(Path("data/real/cls/train")).records[4]])
    chosen = given(random_pipeline, taught_clipseg, cls=modes(inpaint=INPAINT) | {"per_class": {"cat": 1, "dog": 0}})
    with pytest.raises(UserError) as caught:
        draw(chosen)
    assert str(caught.value) == (
        "params.yaml: generate.cls.modes.inpaint: no object was found in any train image of cat; "
        f"{taught_clipseg} looked for them: name another network in generate.segmenter, or use img2img or controlnet"
    )


def test_objects_that_the_network_cut_out_are_pasted_without_any_generator(taught_sam: Path) -> None:
    draw(given("./nowhere", taught_sam, det={"per_real": 4.0, "modes": {"paste": PASTE}}))
    made = list(read_set(Path("out/det")))
    assert len(made) == 8 and {len(record.bbox) for record in made} == {3}
    assert all("segmenter_sha256" in (record.settings or "") for record in made)
    for record in made:
        x, y, width, height = (round(side) for side in record.bbox[2])
        colour = np.asarray(record.open())[y + height // 2, x + width // 2]
        assert colour.tolist() in ([255, 255, 0], [0, 255, 255])
        assert 0.8 < width / height < 1.25  # an ellipse's box: without its surroundings


def test_drawn_objects_are_cut_out_by_the_network_after_the_generator_is_released(
    random_pipeline: Path, taught_sam: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paste = PASTE | {"objects": "generated"}
    chosen = given(random_pipeline, taught_sam, det={"per_real": 4.0, "modes": {"paste": paste}})
    loaded: list[bool] = []
    with finding(chosen, Path("work")) as objects:
        plan = make_plan(chosen, objects=objects)
    drawing = Drawing(chosen, plan, Path("work"), CPU)
    segmenter = objects.segmenter
    assert segmenter is not None

    def load() -> Any:
        loaded.append("sampler" not in vars(drawing))
        return segmenter.open()

    objects.segmenter = type(segmenter)(**{**vars(segmenter), "open": load})
    draw_all(drawing, chosen, Path("work"))
    write_tables(drawing, chosen, Path("out/cls"), Path("out/det"))
    assert loaded == [True]
    assert len(read_set(Path("out/det"))) == 8
    # What random weights draw has no ellipse in it, and the note says so.
    assert "could not be cut out of the background that was drawn with them" in capsys.readouterr().out
