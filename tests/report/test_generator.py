"""What the page says about the images that the generator has seen."""

from pathlib import Path

import pytest
from default_params import raw, trained_here
from PIL import Image

from diffaug.hub.seen import write_seen
from diffaug.params import Params
from diffaug.params.base import GENERATOR
from diffaug.report.generator import Origin, what_it_saw


def origin(content: dict, used: bool = True) -> Origin:
    params = Params.model_validate(content)
    return Origin(params.train_gen, params.generate.model, params.download.unseen_by, used)


@pytest.fixture(autouse=True)
def two_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, count in (("pretrained/clothes", 3), (GENERATOR, 2)):
        Path(folder).mkdir(parents=True)
        write_seen(Path(folder), [Image.new("L", (8, 8), level) for level in range(count)])


def test_a_pre_trained_generator_that_says_it() -> None:
    said = what_it_saw(origin(raw()))
    assert said == "./pretrained/clothes was trained on 3 images, of which none is in val or test."


def test_a_downloaded_one_does_not_say_it() -> None:
    content = raw()
    content["download"]["unseen_by"] = None
    content["generate"]["model"] = {"name": "owner/model", "revision": "0" * 40}
    said = what_it_saw(origin(content))
    assert said == "owner/model does not say on which images it was trained; images of val and test may be among them."


def test_one_that_is_fine_tuned_here_names_both() -> None:
    content = trained_here("real/cls/train")
    content["train_gen"]["method"] = "lora"
    assert what_it_saw(origin(content)).startswith("stable-diffusion-v1-5/stable-diffusion-v1-5 does not say on which")
    content["train_gen"]["lora"]["model"] = {"name": "./pretrained/clothes"}
    content["download"]["unseen_by"] = "./pretrained/clothes"
    assert what_it_saw(origin(content)) == (
        "./pretrained/clothes was trained on 3 images, of which none is in val or test. It was fine-tuned here on "
        "images of data/real/cls/train."
    )


def test_pictures_of_ones_own_and_a_word_are_named() -> None:
    content = trained_here("real/cls/train")
    content["train_gen"] |= {"method": "textual_inversion", "images": "own/style"}
    content["generate"]["prompt"] = "a {class}, <my-style>"
    assert what_it_saw(origin(content)).endswith(
        "It was taught a word here on images of data/own/style, which were not compared with val and test."
    )


def test_one_that_is_trained_here() -> None:
    here = origin(trained_here("real/cls/train"))
    assert what_it_saw(here) == (
        "It was trained here from random weights, on 2 images of data/real/cls/train; none is in val or test."
    )
    assert here.folder == Path(GENERATOR)


def test_nothing_is_said_of_a_generator_that_draws_nothing() -> None:
    assert what_it_saw(origin(raw(), used=False)).startswith("Nothing is drawn in this run")
