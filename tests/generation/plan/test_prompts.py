from pathlib import Path

import pytest
from pydantic import ValidationError
from settings import modes, params

from diffaug.generation.plan.prompts import Variant, check_classes, class_variants
from diffaug.params.generate import GenerateParams, Img2Img
from diffaug.runtime.errors import UserError

NAMES = ["coat", "bag"]
SHORT = {"prompt": "{class}", "attributes": {"place": ["in snow", "on grass"]}}


def texts(given: GenerateParams, names: list[str] = NAMES, mode: Img2Img | None = None) -> list[list[str]]:
    """Every class's prompts, sorted."""
    return [sorted(variant.prompt for variant in variants) for variants in class_variants(given, mode, names)]


def img2img(**own: object) -> Img2Img:
    mode = params(cls=modes(img2img={"strength": 0.5, **own})).cls.modes.img2img
    assert mode is not None
    return mode


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of prompts/lines.txt in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts").mkdir()
    return tmp_path / "prompts/lines.txt"


def test_synonyms_and_attributes_are_combined() -> None:
    given = params(
        prompt=["a {color} {class} {place}", "a {class}, {color} all over: {color}"],
        attributes={"color": ["red", "blue"], "place": ["in snow", "on grass"], "unused": ["x", "y", "z"]},
        classes={"coat": {"synonyms": ["coat", "jacket"]}},
    )
    coat, bag = texts(given)
    assert bag == [
        "a bag, blue all over: blue",
        "a bag, red all over: red",
        "a blue bag in snow",
        "a blue bag on grass",
        "a red bag in snow",
        "a red bag on grass",
    ]
    assert coat == sorted([*(text.replace("bag", word) for word in ("coat", "jacket") for text in bag)])


def test_words_are_filled_in_once() -> None:
    given = params(prompt="{class} {place}", attributes={"place": ["{class}", "{0}"]})
    assert texts(given, ["{place}"]) == [["{place} {0}", "{place} {class}"]]


def test_a_classs_order_depends_on_itself_and_the_seed_alone() -> None:
    words = {"place": [str(number) for number in range(40)]}
    given = params(prompt="{class} {place}", attributes=words)
    coat, bag = class_variants(given, None, NAMES)
    assert class_variants(given, None, ["外套", "bag", "hat", "coat"])[1::2] == [bag, coat]
    assert class_variants(params(prompt="{class} {place}", attributes=words, seed=1), None, ["coat"]) != [coat]
    assert [variant.prompt[5:] for variant in coat] != [variant.prompt[4:] for variant in bag]
    assert [variant.prompt[5:] for variant in coat] != words["place"]


def test_a_word_that_is_no_attribute_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        texts(params(prompt="a {class} {where}", attributes={"place": ["here"], "color": ["red"]}))
    assert str(caught.value) == (
        "params.yaml: generate.prompt: 'a {class} {where}' has {where}, which is neither {class} nor one of "
        "generate.attributes (color, place)"
    )
    with pytest.raises(UserError, match=r"neither \{class\} nor one of generate.attributes \(which is empty\)"):
        texts(params(prompt="a {class} {where}"))


def test_a_class_that_is_not_there_is_refused() -> None:
    given = params(classes={"cot": {"synonyms": ["bed"]}, "coat": {}})
    with pytest.raises(UserError, match=r"generate\.classes\.cot: there is no such class; the classes are coat, bag"):
        check_classes(given, NAMES)
    check_classes(given, [*NAMES, "cot"])  # the class of the other task


def test_a_line_for_a_class_that_is_not_there_is_refused(file: Path) -> None:
    file.write_text("a {class}\n--prompt a --class cat\n", encoding="utf-8")
    given = params(prompts_file="prompts/lines.txt")
    with pytest.raises(UserError, match=r"prompts/lines\.txt: line 2: --class 'cat' is not a class.*coat, bag"):
        check_classes(given, NAMES)
    check_classes(given, [*NAMES, "cat"])


@pytest.mark.parametrize("own", [{"prompt": "own {class}"}, {"prompt": ["own {class}"], "negative_prompt": "dark"}, {}])
def test_a_class_and_a_mode_may_have_their_own(own: dict[str, object]) -> None:
    classes = {"coat": {"prompt": ["warm {class}", "cold {class}"], "negative_prompt": ""}}
    given = params(prompt="general {class}", negative_prompt="blurry", classes=classes)
    coat, bag = class_variants(given, img2img(**own), NAMES)
    negatives = {variant.negative_prompt for variant in coat}, {variant.negative_prompt for variant in bag}
    assert negatives == (({"dark"}, {"dark"}) if "negative_prompt" in own else ({""}, {"blurry"}))
    expected = [["own coat"], ["own bag"]] if own else [["cold coat", "warm coat"], ["general bag"]]
    assert texts(given, mode=img2img(**own)) == expected


def test_a_file_of_prompts(file: Path) -> None:
    file.write_text(
        "# comment\n\n  a {class}, isn't it  \n"
        '--prompt "my {class} {place}" --negative_prompt "" --steps 40 --cfg_scale 5 --sampler_name euler_a_karras\n'
        "--class coat --width 512 --height 768 --prompt '冬天的 {class}'\n"
        '--negative_prompt "too, dark" --prompt {class}\n',
        encoding="utf-8-sig",  # as saved by the editor of Windows
    )
    given = params(prompts_file="prompts/lines.txt", negative_prompt="blurry", attributes=SHORT["attributes"])
    coat, bag = class_variants(given, None, NAMES)
    steps = {"num_inference_steps": 40, "guidance_scale": 5.0, "scheduler": "euler_a_karras"}
    assert sorted(bag, key=lambda variant: variant.prompt) == [
        Variant("a bag, isn't it", "blurry"),
        Variant("bag", "too, dark"),
        Variant("my bag in snow", "", steps),
        Variant("my bag on grass", "", steps),
    ]
    assert len(coat) == 5
    assert Variant("冬天的 coat", "blurry", {"width": 512, "height": 768}) in coat


def test_a_class_or_mode_with_its_own_prompt_needs_no_file(file: Path) -> None:
    file.write_text("file {class}")
    given = params(prompts_file="prompts/lines.txt", classes={"coat": {"prompt": "own {class}"}})
    assert texts(given) == [["own coat"], ["file bag"]]
    assert texts(given, mode=img2img(prompt="mode {class}")) == [["mode coat"], ["mode bag"]]
    file.unlink()
    assert texts(given, mode=img2img(prompt="mode {class}")) == [["mode coat"], ["mode bag"]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--steps 4", "the following arguments are required: --prompt"),
        ("--prompt a --cfg 5", "unrecognized arguments: --cfg 5"),
        ("--prompt a b", "unrecognized arguments: b"),
        ("--prompt 'a", "No closing quotation"),
        ("--prompt a --steps 4.5", "argument --steps: invalid int value: '4.5'"),
        ("--prompt a --steps 0", "num_inference_steps: found 0; input should be greater than or equal to 1"),
        ("--prompt a --cfg_scale -1", "guidance_scale: found -1.0; input should be greater than or equal to 0"),
        ("--prompt a --cfg_scale nan", "guidance_scale: found nan; input should be a finite number"),
        ("--prompt a --width 8", "width: found 8; input should be greater than or equal to 16"),
        ("--prompt a --height 100", "height: found 100; input should be a multiple of 8"),
        ("--prompt a --sampler_name magic", "scheduler: allowed are default, ddim,"),
        ("a photo", "'a photo' would be drawn for every class; add {class}, or --class NAME"),
        ("a {class} {where}", "'a {class} {where}' has {where}, which is neither {class} nor one of"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(file: Path, line: str, words: str) -> None:
    file.write_text(f"# comment\n\na {{class}}\n{line}\n")
    with pytest.raises(UserError) as caught:
        texts(params(prompts_file="prompts/lines.txt"))
    assert str(caught.value).startswith(f"prompts/lines.txt: line 4: {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, r"not readable \(.*No such file.*\); correct generate\.prompts_file"),
        (b"\xff\xfe", r"not readable \(.*utf-8.*\); correct generate\.prompts_file"),
        (b"# only a comment\n\n", "has no prompt; write one per line"),
        (b"--class coat --prompt a\n", "no prompt for the class 'bag'; add a line for it, or one for all classes"),
    ],
)
def test_a_file_that_gives_nothing_is_refused(file: Path, data: bytes | None, words: str) -> None:
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(UserError, match=rf"prompts/lines\.txt: {words}"):
        texts(params(prompts_file="prompts/lines.txt"))


def test_millions_of_combinations_are_not_made() -> None:
    words = {f"word{number}": [str(value) for value in range(20)] for number in range(10)}
    template = "{class} " + " ".join(f"{{{name}}}" for name in words)
    with pytest.raises(UserError, match="has 10240000000000 combinations of words, but at most 100000 are allowed"):
        texts(params(prompt=template, attributes=words))


@pytest.mark.parametrize(("text", "sign"), [("a {class}\0", r"\\x00"), ("a {class}\u202e", r"\\u202e")])
def test_a_prompt_with_unseen_characters_is_refused(file: Path, text: str, sign: str) -> None:
    with pytest.raises(ValidationError, match=f"has the character {sign}; remove it"):
        params(prompt=text)
    file.write_text(f"a good {{class}}\n{text}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"line 2: has the character {sign}; remove it"):
        texts(params(prompts_file="prompts/lines.txt"))
