from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, ModelCard
from report_inputs import METRICS

from diffaug.evaluation.comparison import Measured
from diffaug.evaluation.tables import write_seeds
from diffaug.report.cards import write_cards

OWN = {"real": 0.7, "merged": 0.8}


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    metrics = METRICS | {"notes": ["the licence of x forbids it"]}
    for task in ("cls", "det"):
        name = {"cls": "accuracy", "det": "mAP50"}[task]
        arms = {arm: [Measured({name: value}, {}), Measured({name: 0.1}, {})] for arm, value in OWN.items()}
        write_seeds(task, arms, [3, 4])
        write_cards(tmp_path, task, metrics, "folder", ("cat", "狗"), ["x (licence: not stated)"])
    return tmp_path


def test_the_hub_reads_the_models_numbers(cards: Path) -> None:
    card = ModelCard.load(cards / "model-cls.md")
    found = {result.metric_type: result.metric_value for result in card.data.eval_results or []}
    assert found == {"accuracy": 0.8}
    assert "this one model (seed 3)" in card.text
    assert card.data.pipeline_tag == "image-classification"
    assert "| classifier accuracy | 75.0 | 78.0 | +3.0 | +1.2 to +4.8 |" in card.text
    assert "detector" not in card.text
    assert "Note: the licence of x forbids it." in card.text
    assert "400 others (duplicate)" in (cards / "model-det.md").read_text(encoding="utf-8")


def test_a_model_card_says_how_an_image_is_prepared(cards: Path) -> None:
    assert "Input: RGB, stretched to 28 x 28 pixels. Without" in (cards / "model-cls.md").read_text(encoding="utf-8")
    assert "Input: RGB, scaled. Without" in (cards / "model-det.md").read_text(encoding="utf-8")


def test_the_hub_finds_the_splits(cards: Path) -> None:
    card = DatasetCard.load(cards / "dataset-det.md")
    files = {one["split"]: one["path"] for one in card.data.to_dict()["configs"][0]["data_files"]}
    assert files == {"train": "train/*.parquet", "val": "val/*.parquet"}
    assert card.data.task_categories == ["object-detection"]
    assert "cat, 狗" in card.text and "x (licence: not stated)" in card.text


def test_the_same_numbers_are_the_same_bytes(cards: Path, tmp_path: Path) -> None:
    before = (cards / "model-cls.md").read_bytes()
    write_cards(cards, "cls", METRICS | {"notes": ["the licence of x forbids it"]}, "folder", ("cat", "狗"), [])
    assert (cards / "model-cls.md").read_bytes() == before


def test_names_are_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_seeds("cls", {arm: [Measured({"accuracy": 0.5}, {})] for arm in OWN}, [0])
    names = ("<b>bold</b>", "[x](javascript:y)", "a|b", "$x$", "# head")
    write_cards(tmp_path, "cls", METRICS, "folder", names, ["`m`"])
    card = (tmp_path / "dataset-cls.md").read_text(encoding="utf-8")
    assert r"Classes: \<b\>bold\</b\>, \[x\](javascript:y), a\|b, \$x\$, \# head." in card
    assert r"Models that drew images: \`m\`." in card
