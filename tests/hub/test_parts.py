import json
import re
from pathlib import Path
from typing import Any

import pytest

from diffaug.hub.locate import locate_network, locate_pipeline
from diffaug.hub.parts import empty_parts, network_class, parts, pipeline_class
from diffaug.params.base import ModelName
from diffaug.runtime.errors import UserError

NEVER = "which never runs here; take a model whose parts are classes of diffusers or transformers"


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        locate_pipeline(ModelName(name=str(folder)), "generate.model")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


def test_the_parts_of_a_pipeline(pipeline: Path) -> None:
    index = pipeline / "model_index.json"
    edit(index, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"], image_encoder=[None, None])
    assert parts(pipeline) == {
        "safety_checker": "StableDiffusionSafetyChecker",
        "scheduler": "DDIMScheduler",
        "text_encoder": "CLIPTextModel",
        "tokenizer": json.loads(index.read_text())["tokenizer"][1],
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    }
    assert set(empty_parts(index)) == {"image_encoder", "feature_extractor"}
    assert pipeline_class(index).__name__ == "StableDiffusionPipeline"
    assert network_class(pipeline / "unet/config.json").__name__ == "UNet2DConditionModel"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1,2]", "found a list; allowed is a mapping"),
        ("{", r"not readable \(.*\); fetch the model again, or take another"),
        ('{"a":' * 200_000, "is nested more than 64 deep"),
        ("{}", "_class_name None is not a pipeline of diffusers; take another model"),
    ],
)
def test_a_damaged_index_is_one_line(pipeline: Path, content: str, words: str) -> None:
    (pipeline / "model_index.json").write_text(content)
    assert re.match(f"model_index.json: {words}", refused(pipeline))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unet": ["diffusers"]}, "'unet': found a list of 1; allowed is a part's name with its library and class"),
        ({"unet": ["diffusers", 5]}, "'unet': found a list of 2; allowed is"),
        ({"../unet": ["diffusers", "UNet2DConditionModel"]}, "'../unet': found a list of 2; allowed is"),
        ({"unet": ["my_unet", "MyUNet"]}, f"unet: found my_unet.MyUNet, custom code, {NEVER}"),
        ({"unet": ["os", "system"]}, f"unet: found os.system, custom code, {NEVER}"),
        ({"unet": ["..", "system"]}, f"unet: found ...system, custom code, {NEVER}"),
        ({"_class_name": ["pipeline", "Mine"]}, f"_class_name: found a list of 2: custom code, {NEVER}"),
        ({"_class_name": "Mine"}, "_class_name 'Mine' is not a pipeline of diffusers"),
        ({"_class_name": "UNet2DConditionModel"}, "_class_name 'UNet2DConditionModel' is not a pipeline of diffusers"),
    ],
)
def test_an_index_of_other_things_than_known_classes_is_refused(pipeline: Path, changes: Any, words: str) -> None:
    (pipeline / "unet/my_unet.py").write_text("raise SystemExit('it ran')")
    edit(pipeline / "model_index.json", **changes)
    assert refused(pipeline).startswith(f"model_index.json: {words}")


def test_a_part_that_lets_its_configuration_name_custom_code_is_refused(pipeline: Path) -> None:
    edit(pipeline / "model_index.json", text_encoder=["transformers", "AutoModel"])
    locate_pipeline(ModelName(name=str(pipeline)), "generate.model")
    edit(pipeline / "text_encoder/config.json", auto_map={"AutoModel": "mine.Net"})
    assert refused(pipeline) == f"text_encoder/config.json: auto_map names custom code, {NEVER}"


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae"])
def test_a_million_layers_are_refused_at_once(pipeline: Path, part: str) -> None:
    edit(pipeline / part / "config.json", num_layers=10**6)
    assert refused(pipeline).startswith(f"{part}/config.json: num_layers: found 1000000, and at most 1000 is allowed")
    with pytest.raises(UserError, match="num_layers: found 1000000"):
        locate_network(ModelName(name=str(pipeline / part)), "generate.tiny_vae")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"weight_map": {"a": "diffusion_py', "not readable"),
        ("{}", "weight_map: found None; allowed is a mapping"),
        ('{"weight_map": {"a": 7}}', "weight_map: found 7; allowed are names of files in its folder"),
        ('{"weight_map": {"a": "../../x"}}', "weight_map: found '../../x'; allowed are names of files in its folder"),
    ],
)
def test_a_damaged_list_of_shards_is_one_line(pipeline: Path, content: str, words: str) -> None:
    (pipeline / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(content)
    assert refused(pipeline).startswith(f"unet/diffusion_pytorch_model.safetensors.index.json: {words}")


def test_a_tokenizer_of_millions_of_words_is_not_opened(pipeline: Path) -> None:
    words = ",".join(f'"{number}":1' for number in range(1_000_001))
    (pipeline / "tokenizer/vocab.json").write_text(f"{{{words}}}")
    assert refused(pipeline).startswith("tokenizer/vocab.json: it has 1000001 entries, and at most 1000000 are allowed")
