"""The READMEs and the pages of docs: short, the same in both languages, and correct for the repository."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
BOTH = [(ENGLISH, CHINESE), ("docs/hubs.md", "docs/hubs.zh-CN.md")]
TWINS = [(path.name.replace(".zh-CN", ""), path.name) for path in sorted((ROOT / "docs").glob("*.zh-CN.md"))]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """The lines of the sh blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = [re.sub(r"(^|\s+)#.*", "", line).rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def links(text: str) -> list[str]:
    """The targets of the links and images, in order; code is left out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text))


def headings(text: str) -> set[str]:
    """The anchors that GitHub creates for the headings."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_readme_is_short():
    assert len((ROOT / ENGLISH).read_bytes()) <= 8192


@pytest.mark.parametrize(("english", "chinese"), BOTH)
def test_both_languages_have_the_same_commands(english, chinese):
    assert commands(read(english)) == commands(read(chinese)) != []


@pytest.mark.parametrize(("english", "chinese"), TWINS)
def test_every_page_in_chinese_has_the_commands_and_pictures_of_its_twin(english, chinese):
    there, back = read(f"docs/{english}"), read(f"docs/{chinese}")
    assert commands(there) == commands(back)
    assert re.findall(r"!\[.*?\]\((.+?)\)", there) == re.findall(r"!\[.*?\]\((.+?)\)", back)
    assert f"]({chinese})" in there and f"]({english})" in back


@pytest.mark.parametrize(("english", "chinese"), BOTH)
def test_both_languages_have_the_same_links(english, chinese):
    there, back = links(read(english)), links(read(chinese))
    assert (there[0], back[0]) == (Path(chinese).name, Path(english).name)
    assert there[1:] == back[1:]


def test_the_readmes_have_links():
    assert len(links(read(ENGLISH))) > 5


@pytest.mark.parametrize(("english", "chinese"), BOTH)
def test_both_languages_show_the_same_settings(english, chinese):
    there, back = (re.findall(r"^```yaml\n.*?^```", read(name), re.M | re.S) for name in (english, chinese))
    assert there == back


def test_both_languages_show_the_same_verdict():
    english, chinese = (re.findall(r"^test metric.*?^```", read(name), re.M | re.S) for name in (ENGLISH, CHINESE))
    assert english == chinese != []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in links(read(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), f"{page} links to {target}"
        assert not anchor or anchor in headings(there.read_text(encoding="utf-8")), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_has_an_alt_text(page):
    assert "![](" not in read(page)


@pytest.mark.parametrize("page", [ENGLISH, CHINESE])
def test_the_table_of_stages_is_that_of_the_pipeline(page):
    cells = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", read(page), re.M)
    named = [name for cell in cells for name in re.findall(r"\w+", cell)]
    assert sorted(named) == sorted(yaml.safe_load(read("dvc.yaml"))["stages"])


@pytest.mark.parametrize("page", PAGES)
def test_a_merged_set_is_named_with_its_seed(page):
    assert not re.findall(r"data/merged/(?!\d|SEED)\w+", read(page))
