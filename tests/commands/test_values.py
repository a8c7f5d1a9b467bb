"""Values on the command line."""

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from diffaug.commands.parsing.values import fraction, lora, model
from diffaug.params.base import ModelName


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("./sd", {"name": "./sd"}),
        ("C:/models/sd15", {"name": "C:/models/sd15"}),
        (f"a/b@{'0' * 40}", {"name": "a/b", "revision": "0" * 40}),
        (f"modelscope:a/b@{'0' * 40}", {"name": "a/b", "revision": "0" * 40, "hub": "modelscope"}),
        ("modelscope:a/b", {"name": "a/b", "hub": "modelscope"}),
    ],
)
def test_a_model_as_tables_name_it(text: str, found: dict[str, str]) -> None:
    assert model(text) == found
    if "revision" in found:
        assert ModelName.model_validate(found).label == text.partition("@")[0]


def test_a_folder_with_an_at_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "sd@home"
    folder.mkdir()
    assert model(str(folder)) == {"name": str(folder)}


def test_a_lora_with_or_without_its_scale() -> None:
    assert lora("./a.safetensors:0.8") == {"path": "./a.safetensors", "scale": 0.8}
    assert lora("C:/a.safetensors") == {"path": "C:/a.safetensors", "scale": 1.0}


@pytest.mark.parametrize("text", ["0", "1.1", "much", "nan", "-1"])
def test_what_is_no_fraction(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a number above 0 and up to 1"):
        fraction(text)
