"""The objects for parameters: which segmenter, where masks are kept, from a folder and from a hub."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segmenters
from default_params import raw
from fetching import command, content, named
from hub_server import COMMIT, serve
from safetensors.torch import load_file, save_file
from segmenters import ellipses, inside
from settings import modes, params

from diffaug.commands.fetch import _used
from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import make_record
from diffaug.params import Params
from diffaug.runtime.errors import UserError
from diffaug.segmenting.finding import find_for, finding

BOX = (16, 16, 48, 48)
INPAINT = {"strength": 0.8, "repaint": "background", "padding": 1, "feather": 1}
PHOTO = make_record("p", encode_png(ellipses((64, 64), {BOX: "cat"})), "train", label=0)


def given(folder: Path | None, **changes: Any) -> Any:
    segmenter = {"name": str(folder)} if folder else None
    return params(segmenter=segmenter, cls=modes(inpaint=INPAINT), **changes)


def test_the_named_network_finds_objects_and_its_masks_outlast_it(taught_sam: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(taught_sam, tmp_path / "sam"))
    with finding(given(folder), tmp_path / "work") as objects:
        found = objects.in_image(PHOTO, "cat")
    assert found is not None
    wanted = inside((64, 64), BOX)
    assert (found & wanted).sum() / (found | wanted).sum() > 0.8
    again = find_for(given(folder), tmp_path / "work")
    (folder / "processor_config.json").unlink()  # it could not be loaded now
    mask = again.in_image(PHOTO, "cat")
    assert mask is not None and np.array_equal(mask, found)


def test_masks_of_other_weights_are_others(taught_sam: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(taught_sam, tmp_path / "changed"))
    weights = load_file(changed / "model.safetensors")
    weights["mask_decoder.iou_prediction_head.proj_out.bias"] += 0.01
    save_file(weights, changed / "model.safetensors", metadata={"format": "pt"})
    both = [find_for(given(folder), tmp_path / "work") for folder in (taught_sam, changed)]
    assert both[0].folder != both[1].folder
    assert both[0].made_from("cat") != both[1].made_from("cat")
    assert find_for(given(None), tmp_path / "work").folder not in (both[0].folder, both[1].folder)


def test_a_network_of_which_no_mode_makes_use_is_not_looked_for(tmp_path: Path) -> None:
    nowhere = params(segmenter={"name": "./nowhere"}, cls=modes(txt2img={}), det={"per_real": 0, "modes": {}})
    assert find_for(nowhere, tmp_path).segmenter is None
    with pytest.raises(UserError, match=r"generate\.segmenter: /nowhere is not a folder; give the path of a folder"):
        find_for(given(Path("/nowhere")), tmp_path)


def test_a_network_of_which_no_mode_makes_use_is_not_fetched() -> None:
    named_one = {"name": "facebook/sam", "revision": COMMIT}
    for modes_of, used in ({"inpaint": {"weight": 1} | INPAINT}, True), ({"txt2img": {"weight": 1}}, False):
        found = raw()
        found["generate"] |= {"segmenter": named_one, "det": {"per_real": 0, "modes": {}}}
        found["generate"]["cls"]["modes"] = modes_of
        found["download"]["det"] = None
        assert any(need.startswith("generate.segmenter") for need in _used(Params.model_validate(found))) is used


def test_the_text_of_a_class_is_its_first_synonym(tmp_path: Path) -> None:
    folder = segmenters.clipseg(tmp_path / "clipseg")
    plain = find_for(given(folder), tmp_path / "work")
    named = find_for(given(folder, classes={"n02121808": {"synonyms": ["cat", "kitten"]}}), tmp_path / "work")
    assert named.made_from("n02121808") == plain.made_from("cat") != plain.made_from("n02121808")


def test_the_rows_say_which_network_it_was(tmp_path: Path) -> None:
    folder = segmenters.sam(tmp_path / "sam")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    objects = find_for(given(folder), tmp_path / "work")
    assert objects.segmenter is not None
    assert objects.settings == {
        "segmenter": {"name": str(folder)},
        "segmenter_sha256": objects.segmenter.sha256,
        "segmenter_licence": "apache-2.0",
    }
    assert find_for(given(None), tmp_path / "work").settings == {}


_FIND = """
import sys
from pathlib import Path
from diffaug.dataset.records import make_record
from diffaug.params import load_params
from diffaug.segmenting.finding import finding
with finding(load_params().generate, Path("work")) as objects:
    mask = objects.in_image(make_record("p", Path("photo.png").read_bytes(), "train", label=0), "cat")
print(objects.segmenter.licence, mask is not None)
"""


@pytest.mark.slow
def test_a_network_of_a_hub_is_fetched_and_then_used_offline(taught_sam: Path, tmp_path: Path) -> None:
    published = Path(shutil.copytree(taught_sam, tmp_path / "hub"))
    (published / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (published / "pytorch_model.bin").write_bytes(b"a pickle")
    (tmp_path / "sd").mkdir()
    (tmp_path / "photo.png").write_bytes(PHOTO.image)
    found = content(segmenter=named("facebook/sam", None) | {"revision": COMMIT})
    found["generate"]["cls"] |= {"modes": {"inpaint": {"weight": 1} | INPAINT}}
    found["generate"].pop("det")
    del found["generate"]["model"]
    found["generate"] |= {"model": {"name": str(tmp_path / "sd")}, "det": {"per_real": 0, "modes": {}}}
    with serve({"facebook/sam": published}) as hub:
        own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "cache"), "DIFFAUG_WORK": str(tmp_path / "w")}
        process = command(tmp_path, found, **own)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        assert f"generate.segmenter: facebook/sam at {COMMIT[:12]}: " in out and "licence: apache-2.0" in out
        assert not any("pytorch_model.bin" in request and "resolve" in request for request in hub.requests)
    offline = {**os.environ, **own, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", _FIND], cwd=tmp_path, env=offline, capture_output=True, text=True)
    assert done.stdout.split() == ["apache-2.0", "True"], done.stderr
