"""`diffaug sheet` on plans and by hand, on small real pipelines."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command_line import command
from default_params import raw
from PIL import Image
from settings import modes, params, source
from small_models import small_lora

from diffaug.commands.axes import Axis, parse_axes
from diffaug.commands.sheet import Choice, Subject, jobs_of, measure, page
from diffaug.dataset.records import make_record, write_set
from diffaug.generation.drawing.sampler import open_sampler
from diffaug.generation.plan.plan import Plan, make_plan
from diffaug.params.generate import GenerateParams
from diffaug.runtime.errors import UserError

CPU = torch.device("cpu")
DET = {"per_real": 4.0, "modes": {"inpaint_object": {"weight": 1, "strength": 1.0, "feather": 1, "patches": None}}}
DET["modes"]["inpaint_object"] |= {"target_class": "rare", "patches": {"context": 1.5, "per_scene": 2}}


run, refused = command("sheet")
draw, _ = command("draw")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> Path:
    """A folder with params.yaml, whose model is small, real train sets, a photograph, and a folder of pictures."""
    content = raw()
    content["download"]["unseen_by"] = None
    cls = content["generate"]["cls"] | {"per_class": 4, "modes": {"txt2img": {"weight": 1}}}
    content["generate"] |= {"model": {"name": str(random_pipeline)}, "num_inference_steps": 2, "cls": cls}
    content["generate"] |= {"det": {"per_real": 0.0, "modes": {}}, "batch_size": 8}
    content["merge"]["ratio"] = 0.0
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFAUG_WORK", str(tmp_path / "work"))
    for task, label in (("cls", 0), ("det", None)):
        records = []
        for number in range(4):
            real = source(150 + 20 * number, None if label is None else number % 2)
            fields = {"label": real.label} if real.label is not None else {"bbox": real.bbox, "category": real.category}
            records.append(make_record(f"{task}-{number}", real.image, "train", **fields))
        write_set(tmp_path / f"data/real/{task}/train", ("cat", "dog"), records[: 4 if task == "cls" else 2])
    generator = np.random.default_rng(0)
    (tmp_path / "few").mkdir()
    for number in range(3):
        pixels = generator.integers(256, size=(24, 36, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"few/{number}.png")
    return tmp_path


def planned(model: Path, **changes: Any) -> tuple[GenerateParams, Plan]:
    inpaint = {"strength": 0.8, "repaint": "background", "padding": 1, "feather": 1}
    cls = modes(txt2img={}, img2img={"strength": 0.6}, inpaint=inpaint) | {"per_class": 6}
    given = params(model, cls=cls, det=DET, **{"num_inference_steps": 2, "batch_size": 2, **changes})
    return given, make_plan(given)


def subject(given: GenerateParams, plan: Plan, choice: Choice) -> Subject:
    jobs = jobs_of(plan, choice, 1)
    sources = {one.id: one for one in (*plan.cls, *plan.det)}
    return Subject(open_sampler(given, CPU, plan.object_of), jobs, sources, ("cat", "dog"))


def drawn(one: Subject, *axes: str) -> Image.Image:
    parsed = parse_axes(axes)
    return page(one, parsed, measure(one, parsed), ())


def test_a_sheet_of_sizes_shows_them_as_they_are(project: Path, random_pipeline: Path) -> None:
    """Cells of 16 and of 32 pixels were enlarged to the same size."""
    given, plan = planned(random_pipeline, batch_size=1)
    picture = drawn(subject(given, plan, Choice("cls", "txt2img", "cat")), "width=16,32", "height=16")
    empty = (221, 221, 221)
    for column, width in enumerate((96, 192)):
        row = [picture.getpixel((150 + 198 * column + x, 60 + 48)) for x in range(192)]
        assert row.count(empty) == 192 - width and row[-1 - (192 - width)] != empty


def test_a_sheet_has_a_picture_for_every_pair(project: Path, random_pipeline: Path) -> None:
    given, plan = planned(random_pipeline)
    one = subject(given, plan, Choice("cls", "img2img", "dog"))
    assert (one.jobs[0].label, one.jobs[0].mode) == (1, "img2img")
    axes = ("strength=0.5,1.0", "scheduler=ddim,euler_a,unipc")
    picture = drawn(one, *axes)
    assert picture.size == (150 + 2 * 198 + 6, 3 * 18 + 3 * (192 + 18 + 6) + 6)
    cells = [
        picture.crop((150 + 198 * x, 60 + 216 * y, 342 + 198 * x, 252 + 216 * y)) for x in (0, 1) for y in (0, 1, 2)
    ]
    assert len({cell.tobytes() for cell in cells}) == 6
    assert drawn(subject(given, plan, Choice("det", "inpaint_object")), *axes).size == picture.size
    assert drawn(one, "strength=0.5,1.0").height < picture.height  # one axis is one row
    assert Axis.parse("prompt=a {class}|the {class}").put(one.jobs[0], "the {class}", one.names).prompt == "the dog"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size=3", "NAME of prompt"),
        ("strength=a", "strength: found 'a'; must be a number"),
        ("strength=0", "strength: found 0; input should be greater than 0"),
        ("width=20", "width: found 20; input should be a multiple of 8"),
        ("scheduler=magic", "scheduler: allowed are default, ddim"),
        ("seed", "NAME=VALUE"),
        ("lora_scale=much", "found 'much'; must be a number, such as 0.8"),
    ],
)
def test_what_is_no_axis(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Axis.parse(text)
    with pytest.raises(UserError, match="seed is given twice, so one of the two would be ignored"):
        parse_axes(["seed=1,2", "seed=3"])


def test_what_the_plan_does_not_draw(project: Path, random_pipeline: Path) -> None:
    _, plan = planned(random_pipeline)
    with pytest.raises(UserError, match=r"only modes: img2img, inpaint, txt2img; add it to generate"):
        jobs_of(plan, Choice("cls", "controlnet"), 1)
    with pytest.raises(UserError, match=r"there is no such class"):
        jobs_of(plan, Choice("cls", "img2img", "cow"), 1)
    with pytest.raises(UserError, match=r"--kid 100: generate.cls draws only 2 images of mode txt2img for --class cat"):
        jobs_of(plan, Choice("cls", None, "cat"), 100)


def test_of_a_prompt_with_a_page_for_each_further_value(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = ("num_inference_steps=1,2", "scheduler=ddim,euler", "guidance_scale=1,3")
    run(monkeypatch, *axes, "--prompt", "a photo of a cat", "--csv", "table.csv", "--out", "pages/steps.png")
    pages = [Image.open(project / f"pages/steps-{number}.png") for number in (1, 2)]
    assert pages[0].size == pages[1].size == (150 + 2 * 198 + 6, 3 * 18 + 2 * (192 + 18 + 6) + 6)
    with (project / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["guidance_scale"] for row in rows] == ["1", "3"] * 4
    assert all(float(row["seconds_per_image"]) > 0 and row["images"] == "1" and row["kid"] == "" for row in rows)


def test_over_a_photograph_by_hand(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "strength=0.5,1.0", "--prompt", "a cat", "--image", "few/0.png", "--seed", "3")
    sheet = np.asarray(Image.open(project / "sheet.png"))
    cells = [sheet[60 : 60 + 128, left : left + 192] for left in (150, 348)]
    assert not np.array_equal(*cells) and (cells[0][127, 191] != 221).any()  # 36 x 24 pixels fill the width


def test_the_scale_of_a_lora(project: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path) -> None:
    """At 0 it changes nothing; each scale is that of `draw`."""
    lora = small_lora(random_pipeline, project / "style.safetensors")
    run(monkeypatch, "lora_scale=0,1", "seed=1,2", "--prompt", "a cat", "--lora", str(lora), "--out", "with.png")
    run(monkeypatch, "eta=0", "seed=1,2", "--prompt", "a cat", "--out", "without.png")
    scaled, plain = (np.asarray(Image.open(project / name)) for name in ("with.png", "without.png"))
    cells = [[scaled[60 + 216 * y : 252 + 216 * y, left : left + 192] for y in (0, 1)] for left in (150, 348)]
    for y in (0, 1):
        own = plain[60 + 216 * y : 252 + 216 * y, 150:342]
        assert np.array_equal(cells[0][y], own) and not np.array_equal(cells[1][y], own)


def test_kid_to_a_folder_and_to_the_real_images(
    project: Path, monkeypatch: pytest.MonkeyPatch, random_pipeline: Path
) -> None:
    """Noise is nearer to noise than to what the pipeline draws."""
    import torchvision
    from safetensors.torch import save_model

    torch.manual_seed(0)
    save_model(torchvision.models.resnet18(weights=None), project / "net.safetensors")
    content = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    network = {"torchvision": "resnet18", "weights": "net.safetensors"}
    content["filter"]["cls"]["quality"]["network"] = network
    (project / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    drawn = project / "drawn"
    draw(monkeypatch, "a cat", "--n", "100", "--seed", "500", "--steps", "2")
    noise = project / "noise"
    noise.mkdir()
    generator = np.random.default_rng(1)
    for number in range(100):
        Image.fromarray(generator.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(noise / f"{number}.png")
    found = {}
    for folder in (drawn, noise):
        table = project / f"{folder.name}.csv"
        wished = ("num_inference_steps=2", "--prompt", "a cat", "--kid", "100", "--real", str(folder))
        run(monkeypatch, *wished, "--csv", str(table))
        with table.open(encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert row["images"] == "100"
        found[folder.name] = (float(row["kid"]), float(row["kid_error"]))
    same, far = found["drawn"], found["noise"]
    assert abs(same[0]) < 4 * same[1] and far[0] > 4 * far[1]


def test_bad_input_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = ("seed=1", "--prompt", "a cat")
    for arguments, words in [
        (("seed=1", "--image", "few/0.png"), "--image belongs to a prompt of your own; give it with --prompt"),
        ((*by_hand, "--class", "cat"), "--class chooses an image of the plan, and --prompt draws one of your own"),
        ((*by_hand, "--mask", "few/0.png"), "give the photograph with --image"),
        (("strength=0.5", "--prompt", "a cat"), "strength: txt2img has no strength; choose another --mode, or give an"),
        (("lora_scale=0,1", "--prompt", "a cat"), "lora_scale: give the LoRA, one, with --prompt and --lora PATH"),
        ((*by_hand, "--lora", "./none.safetensors:1"), "--lora: none.safetensors does not exist"),
        ((*by_hand, "--real", "few"), "--real: no KID is measured"),
        ((*by_hand, "--out", "few"), "--out: few is a folder, and one picture is written; name a .png"),
        (("eta=0", "--kid", "100", "--task", "det"), "generate.det draws no such image"),
        ((*by_hand, "--kid", "20", "--real", "few"), "--kid: found 20, but a KID of few images says nothing; give 100"),
        ((*by_hand, "--kid", "100", "--real", "few"), "seed: each cell has images of many seeds"),
        (("eta=0", "--prompt", "a cat", "--kid", "100"), "no real images to compare with, but for those"),
        (("eta=0", "--prompt", "a cat", "--kid", "100", "--real", "few"), "few: 3 images are too few for a KID"),
        (("eta=0", "--prompt", "a cat", "--kid", "100", "--real", "none"), "none: not a folder; give a folder"),
        (("num_inference_steps=1", "strength=0.5", "--prompt", "a", "--image", "few/0.png"), "is below one step"),
        (("seed=1", "--prompt", "a cat", "--model", "./nothing"), "nothing"),
        (("eta=0", "--kid", "100"), "--kid 100: generate.cls draws only 12 images of mode txt2img"),
    ]:
        assert words in refused(monkeypatch, *arguments), arguments
    assert not (project / "sheet.png").exists()
