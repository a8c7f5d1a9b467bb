"""The report as a page: built from small tables, opened in a real browser if there is one."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from paths import ROOT
from playwright.sync_api import Browser, sync_playwright
from report_inputs import METRICS, picture

from diffaug.evaluation.tables import TABLES
from diffaug.report import figures
from diffaug.report.generator import GeneratorReport
from diffaug.report.glossary import GLOSSARY
from diffaug.report.page import _training, write_page
from diffaug.report.pairs import changed_sides_tiles, nearest_pairs
from diffaug.report.sheet import make_sheet
from diffaug.report.task import TaskReport
from diffaug.report.verdict import sentence, verdict_rows
from diffaug.runtime.tables import write_table
from diffaug.scoring.ledger import Entry

BROWSER = next(
    (found for name in ("chromium", "google-chrome", "chromium-browser") if (found := shutil.which(name))), None
)
NAMES = ("猫", "dog & <friends>")
LEDGER = [Entry(f"s{number}", "cat", {}, "" if number else "blank") for number in range(3)]
AUDITED = [replace(entry, scores={"boxes": 2, "boxes_judged": 1 if entry.reason == "" else 0}) for entry in LEDGER]
QUALITY = {
    "network": "control",
    "synthetic": {"all": {"images": 50, "kid": 0.1, "fid": None, "precision": 0.0}},
    "real_val": {"all": {"images": 5, "kid": 0.0, "fid": None, "precision": 0.9}},
}
THRESHOLDS = {"degenerate": {"min_std": 7.5}, "hash": {"min_heldout": 2.0}, "correlation": {"min_heldout": 0.00477}}
DELTA = METRICS["delta"]["cls"]["accuracy"]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both tasks, with names that need escaping."""
    monkeypatch.chdir(tmp_path)
    for task in ("cls", "det"):
        write_table(TABLES / f"{task}_training.csv", ["step", "real", "merged"], [[1, 0.1, 0.2], [2, 0.3, 0.2]])
    for table in ("cls_per_class_accuracy", "det_per_class_mAP50_95"):
        write_table(TABLES / f"{table}.csv", ["class", "real", "merged"], [[name, 0.5, 0.6] for name in NAMES])
    for arm in ("real", "merged"):
        for task in ("cls", "det"):
            pairs = [[name, NAMES[0]] for name in NAMES]
            write_table(TABLES / f"{task}_confusion_{arm}.csv", ["actual", "predicted"], pairs)
    write_table(TABLES / "cls_reliability.csv", ["arm", "confidence", "accuracy", "share"], RELIABILITY)
    ends = [f"{arm}{end}" for arm in ("real", "merged") for end in ("", "_low", "_high")]
    curves = [[name, severity, "accuracy", *[0.5] * 6] for name, severity in [("clean", 0), ("fog", 1), ("fog", 5)]]
    write_table(TABLES / "cls_robustness.csv", ["corruption", "severity", "metric", *ends], curves)
    sheet = make_sheet(changed_sides_tiles([picture("a", label=0)], NAMES, {"real": [0], "merged": [3]}, SEEN, 5))
    reports = {
        "cls": TaskReport(NAMES, LEDGER, {"changed": sheet, "nearest": sheet}, QUALITY, THRESHOLDS),
        "det": TaskReport(NAMES, AUDITED, {}, None, {}),
    }
    metrics: dict[str, Any] = METRICS | {"notes": ["a <b>licence</b> forbids it"]}
    sure = {"mean_confidence": 0.91}
    metrics["cls"], metrics["robustness"] = METRICS["cls"] | sure, {"cls": ROBUSTNESS}
    metrics["real"] = {"cls": METRICS["real"]["cls"] | sure}
    metrics["real"] = metrics["real"] | {"det": METRICS["real"]["det"]}
    write_table(
        tmp_path / "losses.csv", ["network", "step", "loss"], [["vae", 5, 0.5], ["vae", 9, 0.25], ["unet", 9, 1]]
    )
    generator = GeneratorReport(
        "It states the 9 images that it was trained on.", figures.losses(tmp_path / "losses.csv"), sheet, sheet
    )
    params = "seeds: [0] # <&>\nmerge: {ratio: 0.000001, name: 猫}"
    write_page(tmp_path / "report.html", metrics, reports, ["models/generator"], params, generator)
    first = (tmp_path / "report.html").read_bytes()
    write_page(tmp_path / "report.html", metrics, reports, ["models/generator"], params, generator)
    assert (tmp_path / "report.html").read_bytes() == first
    return tmp_path / "report.html"


ROBUSTNESS = {
    "images": 200,
    "corruptions": {
        name: {"real": {"accuracy": 0.5}, "merged": {"accuracy": 0.6}, "delta": {"accuracy": DELTA | {"mean": 0.1}}}
        for name in ("clean", "fog", "all")
    },
}
RELIABILITY = [["real", 0.9, 0.5, 1.0], ["merged", 0.6, 0.5, 0.4], ["merged", 0.9, 0.8, 0.6]]
SEEN = {"real": ["dog & <friends>"], "merged": ["猫"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_the_page_says_it_in_words(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert (
        "Classifier accuracy: 800 synthetic images helped: +3.0 points, 95 % interval +1.2 to +4.8, on 2000 real test "
        "images with 3 seeds per arm." in text
    )
    assert (
        "Detector mAP50: 390 to 400 images (recipe duplicate) made no difference that this test can detect: -1.0 points"
        in text
    )
    assert "real 91.0 % sure and 75.0 % right, merged 91.0 % sure and 78.0 % right" in text
    assert "If both arms are near 50.0, which is chance, a line tells nothing about either" in text
    assert "made for all seeds together, rejected (by reason), kept, and used, that is, added to the real" in text
    assert "the audit could judge 2 of 6 boxes" in text
    quality = text.partition('<h3 id="cls-quality">')[2].partition("<h")[0]
    assert "few of the kept images lie among the real ones (0 %" in quality and "the ones of the first seed" in quality
    assert "200 of the real test images, corrupted" in text and "<td>+10.0 (+1.2 to +4.8)</td>" in text
    assert "Rejected if nearer to val or test (auto, by real train images): hash 2, correlation 0.00477<" in text
    assert ">猫</text>" in text  # not the box that replaces a missing letter
    assert "a &lt;b&gt;licence&lt;/b&gt; forbids it" in text and "# &lt;&amp;&gt;" in text


def test_the_page_has_contents_whose_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r'<li><a href="#([\w-]+)">', text)
    assert links == [
        *("numbers", "cls", "cls-pictures", "cls-corrupted", "cls-quality", "det", "generator", "settings", "made"),
    ]
    assert all(text.count(f'id="{link}"') == 1 for link in links)


def test_the_page_shows_the_settings_and_the_generator(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"<div><dt>(.*?)</dt> <dd>(.*?)</dd></div>", text)
    assert shown == [("seeds", "[0]"), ("merge.ratio", "0.000001"), ("merge.name", "&#34;猫&#34;")]
    generator = text.partition('<h2 id="generator">')[2].partition("<h2")[0]
    assert generator.count("<svg") == 1 and ">vae</text>" in generator and ">unet</text>" in generator
    assert 'alt="How the generator draws, step by step"' in generator
    assert 'alt="What the generator draws"' in generator and "It states the 9 images" in generator


def test_a_confusion_matrix_has_numbers_and_a_scale(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    matrix = next(one for one in text.split("</figure>") if "Predicted and actual classes" in one).rpartition(
        "<figure"
    )[2]
    # Both classes are predicted as the first one: two cells of 100 and two of 0, for each arm.
    numbers = re.findall(r"text-anchor: middle[^>]*>(100|0)</text>", matrix)
    assert (numbers.count("100"), numbers.count("0")) == (4, 4)
    assert [matrix.count(f">{arm}: percent of the actual class</text>") for arm in ("real", "merged")] == [1, 1]


def test_the_confusion_matrix_of_the_detector_has_the_background(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    matrix = next(one for one in text.split("</figure>") if "background is no object" in one).rpartition("<figure")[2]
    assert matrix.count(">background</text>") == 4  # a row and a column for each arm
    assert "(detections of a confidence above 0.25, matched at IoU 0.5)" in matrix


def test_the_words_of_the_page_are_those_of_the_docs(page: Path) -> None:
    documented = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").replace("`", "")
    entries = re.findall(r"^- \*\*(\w+)\*\*: ((?:.+\n?(?!- ))+)", documented, re.MULTILINE)
    assert list(GLOSSARY) == [term for term, _ in entries]
    assert all(" ".join(text.split()).startswith(GLOSSARY[term]) for term, text in entries)
    text = page.read_text(encoding="utf-8")
    assert all(f"<dt>{term}</dt><dd>{escape(meaning)}</dd>" in text for term, meaning in GLOSSARY.items())


@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_opens_it_offline_without_a_word(page: Path, browser: Browser, width: int) -> None:
    """No console message, no request except for the file, nothing wider than the screen; every image is shown."""
    opened = browser.new_page(viewport={"width": width, "height": 844})
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(page.as_uri())
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert opened.locator("svg").count() == 1 + 6 + 4 + 1
    assert opened.locator("h1").inner_text() == "Did it help? Recipe: duplicate, synthetic"
    opened.close()


def test_the_nearest_pairs_stand_side_by_side() -> None:
    real = {"r0": replace(picture("r0", label=0), split="test"), "r1": replace(picture("r1", label=1), split="train")}
    made = {f"s{n}": picture(f"s{n}", label=0) for n in range(3)}
    scores = [{"correlation_train": 0.9 - n / 10, "correlation_heldout": 0.5 + n / 10} for n in range(3)]
    near = {"correlation_nearest_train": "r1", "correlation_nearest_heldout": "r0"}
    entries = [Entry(f"s{n}", "cat", score | near, "blank" if n == 2 else "") for n, score in enumerate(scores)]
    sections = nearest_pairs(entries, made, real, 5)
    ids = [[tile.record.id for tile in tiles] for _, tiles in sections]
    assert ids == [["s1", "r1", "s0", "r1"], ["s0", "r0", "s1", "r0"]]  # s2 was rejected
    assert sections[1][1][0].caption == "s0\n0.5 (1 - r)"
    assert nearest_pairs(LEDGER, made, real, 5) == []  # no such score was computed


def test_images_change_sides_both_ways() -> None:
    test = [picture(f"t{n}", label=0) for n in range(4)]
    right = {"real": [0, 3, 1, 2], "merged": [3, 0, 2, 2]}
    mended, broken = changed_sides_tiles(test, ("cat", "dog"), right, {arm: ["dog"] * 4 for arm in right}, 5)
    heading = "test images that the merged arm has mended (2): how many models are right, real to merged"
    assert mended[0] == heading
    assert [tile.record.id for tile in mended[1]] == ["t0", "t2"]
    assert mended[1][0].caption == "0 to 3: cat\nelse dog"
    assert [tile.record.id for tile in broken[1]] == ["t1"]


def test_the_caption_of_the_curves_says_where_val_still_rises(tmp_path: Path) -> None:
    rising = [[step, step / 100, 0.5] for step in range(10)]
    write_table(tmp_path / "rising.csv", ["step", "real", "merged"], rising)
    assert _training(tmp_path / "rising.csv") == (
        "Training, mean over the seeds; in the last fifth of the steps val is higher than in the fifth before "
        "(real +2.0 points), so more steps may change the result"
    )
    write_table(tmp_path / "flat.csv", ["step", "real", "merged"], [[step, 0.5, 0.5] for step in range(10)])
    assert _training(tmp_path / "flat.csv") == "Training, mean over the seeds"


def test_a_weak_model_is_said_in_the_first_sentence(page: Path) -> None:
    details = METRICS | {"weak": {"det": "no boxes"}}
    rows = verdict_rows(details)
    assert sentence("det", details).startswith("Detector mAP50: too weak to say whether it helped: no boxes. Measured")
    assert rows["det", "mAP50"][-2:] == ("-", "too weak to say")
