"""`diffaug upscale`: by Pillow and by a model, one picture and a folder, what is kept, and what is refused."""

import json
from pathlib import Path

import command_line
import numpy as np
import pytest
import small_upscalers
from PIL import Image, ImageFilter
from PIL.PngImagePlugin import PngInfo

from diffaug.commands import upscale as command
from diffaug.commands.info import read_info
from diffaug.enlarging.tiles import Tile, Upscaler

WEBUI = "a red house\nSteps: 25, Sampler: DPM++ 2M, CFG scale: 6.5, Seed: 42, Size: 12x8, Model: v1-5"


run, _ = command_line.command("upscale")


def photo(mode: str = "RGB") -> Image.Image:
    values = np.random.default_rng(0).integers(256, size=(8, 12, 4), dtype=np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    info = PngInfo()
    info.add_text("parameters", WEBUI)
    photo().save("photo.png", pnginfo=info)
    return tmp_path


@pytest.mark.parametrize("method", ["lanczos", "nearest"])
def test_by_pillow(here: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    run(monkeypatch, "photo.png", "large.png", "--factor", "4", "--method", method)
    assert np.array_equal(Image.open("large.png"), photo().resize((48, 32), command.METHODS[method]))
    photo("RGBA").save("clear.png")
    run(monkeypatch, "clear.png", "large-clear.png", "--method", method)
    alpha = photo("RGBA").getchannel("A").resize((24, 16), command.METHODS[method])
    assert np.array_equal(Image.open("large-clear.png").getchannel("A"), alpha)


@pytest.mark.parametrize(("options", "percent"), [(("--sharpen",), 100), (("--sharpen", "250"), 250)])
def test_it_is_sharpened(here: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], percent: int) -> None:
    run(monkeypatch, "photo.png", "large.png", *options)
    plain = photo().resize((24, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(Image.open("large.png"), plain.filter(ImageFilter.UnsharpMask(2, percent, 0)))


def test_the_settings_stay_and_what_was_done_joins_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "photo.png", "large.png")
    before, after = read_info(Path("photo.png")), read_info(Path("large.png"))
    assert after.settings == before.settings and after.settings["seed"] == 42
    assert before.enlarged is None and after.enlarged is not None
    said = json.loads(after.enlarged)
    assert (said["factor"], said["method"]) == (2, "lanczos")
    assert after.lines()[-1] == f"enlarged: {after.enlarged}"
    photo().save("bare.png")
    run(monkeypatch, "bare.png", "large-bare.png")
    assert read_info(Path("large-bare.png")).lines()[0] == "drawn by: not stated"


def test_a_model_of_another_scale(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_upscalers.compact(Path("four.safetensors"), 4)
    run(monkeypatch, "photo.png", "four.png", "--model", "four.safetensors", "--factor", "4")
    assert capsys.readouterr().out == "four.png: 1 made, 4 times as large, by four.safetensors\n"
    run(monkeypatch, "photo.png", "two.png", "--model", "four.safetensors")
    assert capsys.readouterr().out.splitlines()[1:] == [
        "four.safetensors enlarges 4 times; Lanczos brings the result to 2"
    ]
    four, two = Image.open("four.png"), Image.open("two.png")
    assert np.array_equal(two, four.resize(two.size, Image.Resampling.LANCZOS)) and two.size == (24, 16)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_grey_stays_grey_and_transparent_stays_transparent(
    here: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    small_upscalers.compact(Path("two.pth"))
    one = photo(mode)
    one.save("one.png")
    run(monkeypatch, "one.png", "large.png", "--model", "two.pth", "--allow-pickle")
    large = Image.open("large.png")
    assert (large.mode, large.size) == (mode, (24, 16))
    if mode.endswith("A"):
        expected = one.getchannel("A").resize((24, 16), Image.Resampling.LANCZOS)
        assert np.array_equal(large.getchannel("A"), expected)


def test_an_upscaler_of_diffusers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_upscalers.four_times(Path("model"))
    options = ("--model", "model", "--factor", "4", "--steps", "1", "--prompt", "a cat", "--seed", "3")
    run(monkeypatch, "photo.png", "large.png", *options)
    assert Image.open("large.png").size == (48, 32)
    said = json.loads(read_info(Path("large.png")).enlarged or "")
    assert [said[key] for key in ("model", "prompt", "steps", "seed", "tile")] == ["model", "a cat", 1, 3, 128]


def test_a_folder_goes_on_where_it_was(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("in/cat/a.png", "in/dog/a.jpg", "in/b.webp"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        photo().save(name)
    Path("in/notes.txt").write_text("not a picture")
    run(monkeypatch, "in", "out")
    names = sorted(path.relative_to("out").as_posix() for path in Path("out").rglob("*.png"))
    assert names == ["b.png", "cat/a.png", "dog/a.png"]
    Path("out/b.png").unlink()
    times = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")}
    capsys.readouterr()
    run(monkeypatch, "in", "out")
    assert capsys.readouterr().out.splitlines() == [
        "out: 1 made, 2 times as large, by lanczos",
        "2 there already, made in the same way",
    ]
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_a_damaged_picture_of_a_folder_does_not_stop_the_others(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in").mkdir()
    Path("in/a.png").write_text("none")
    photo().save("in/b.png")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "in", "out")
    assert str(ended.value).startswith("diffaug: 1 of 2 pictures are left out: in/a.png: not a readable image")
    assert Path("out/b.png").is_file() and not Path("out/a.png").exists()


def test_a_picture_of_another_way_is_not_written_over(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "photo.png", "large.png")
    before = Path("large.png").read_bytes()
    for given in (("photo.png", "large.png", "--sharpen"), ("photo.png", "photo.png")):
        with pytest.raises(SystemExit, match="exists already, made of another picture or in another way"):
            run(monkeypatch, *given)
    assert Path("large.png").read_bytes() == before


def test_a_lack_of_memory_is_one_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(tile: Tile) -> Image.Image:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(command, "_open", lambda wish: Upscaler("a.pth", "", 2, 512, lacks))
    with pytest.raises(SystemExit, match=r"photo\.png: the memory .* does not suffice; set a smaller --tile"):
        run(monkeypatch, "photo.png", "large.png", "--model", "a.safetensors")


def test_a_picture_that_would_be_too_large(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (9000, 2000)).save("wide.png")
    with pytest.raises(SystemExit, match=r"wide\.png: would have 36000 x 8000 pixels; at most 64 million are written"):
        run(monkeypatch, "wide.png", "large.png", "--factor", "4")
    upscaler = Upscaler("a.pth", "", 8, 512, lambda tile: tile.part)
    monkeypatch.setattr(command, "_open", lambda wish: upscaler)
    Image.new("L", (3000, 1500)).save("wide.png")
    with pytest.raises(SystemExit, match=r"wide\.png: a\.pth would make 24000 x 12000 pixels of it; at most 256"):
        run(monkeypatch, "wide.png", "large.png", "--model", "a.safetensors")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("nowhere.png", "a.png"), "nowhere.png: does not exist"),
        (("photo.png", "a.jpg"), "a.jpg: must end with .png"),
        (("folder", "a.png"), "a.png: must be a folder"),
        (("folder", "folder/out"), "folder/out: lies in folder"),
        (("empty", "out"), "empty: has no pictures"),
        (("twins", "out"), "twins: a.jpg and a.png would both become a.png; rename one"),
        (("photo.png", "a.png", "--model", "none.safetensors"), "none.safetensors: is not a file"),
        (
            ("photo.png", "a.png", "--model", "a.pth"),
            "a.pth: is pickled, and opening such a file can run any code; `dif",
        ),
        (("photo.png", "a.png", "--model", "a.pth", "--steps", "3"), "upscale: --prompt, --steps and --seed are for"),
        (("photo.png", "a.png", "--model", "a.pth", "--method", "nearest"), "upscale: --method is for Pillow"),
        (("photo.png", "a.png", "--tile", "128"), "upscale: --allow-pickle, --tile, --prompt, --steps and --seed are"),
        (("photo.png", "a.png", "--model", "a/b"), "upscale: --model: revision of a/b is None"),
    ],
)
def test_what_does_not_fit_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str
) -> None:
    for folder in ("folder", "empty", "twins"):
        Path(folder).mkdir()
    photo().save("folder/a.png")
    for name in ("a.png", "a.jpg"):
        photo().save(f"twins/{name}")
    Path("a.pth").write_bytes(b"x")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *options)
    assert str(ended.value).startswith(f"diffaug: {said}") and "\n" not in str(ended.value)
    assert not Path("out").exists() and not Path("a.png").exists()


@pytest.mark.parametrize("options", [("--tile", "100"), ("--sharpen", "0"), ("--factor", "3"), ("--steps", "0")])
def test_values_that_are_not_allowed(here: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "photo.png", "a.png", *options)
    assert ended.value.code == 2
