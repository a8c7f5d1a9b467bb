"""The settings that docs/lora.md shows are those of params.yaml."""

import re
import textwrap
from pathlib import Path

import pytest
from paths import ROOT

from diffaug.commands.use import params_with


@pytest.mark.parametrize("page", ["docs/lora.md", "docs/lora.zh-CN.md"])
def test_the_settings_can_be_used(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = [textwrap.dedent(one) for one in re.findall(r"^ *```yaml\n(.*?)^ *```", text, re.M | re.S)]
    assert len(blocks) == 3
    lora, samples, word = (tmp_path / f"{number}.yaml" for number in range(3))
    for path, block in zip((lora, samples, word), blocks):
        path.write_text(block, encoding="utf-8")
    tuned = params_with(lora, ROOT / "params.yaml").train_gen
    assert (tuned.method, tuned.own, tuned.tuned.model.name) == ("lora", Path("data/own/style"), "./model.safetensors")
    (tmp_path / "params.yaml").write_text(
        (ROOT / "params.yaml")
        .read_text(encoding="utf-8")
        .replace("  unseen_by: ./pretrained/clothes", "  unseen_by: null"),
        encoding="utf-8",
    )
    taught = params_with(word, tmp_path / "params.yaml").train_gen
    assert (taught.method, taught.textual_inversion.initial) == ("textual_inversion", "painting")
    assert params_with(samples, ROOT / "params.yaml").train_gen.samples.every == 100
