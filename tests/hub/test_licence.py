import time
from pathlib import Path

import pytest

from diffaug.hub.licence import card_licence, licence_warning
from diffaug.hub.locate import locate_pipeline
from diffaug.params.base import ModelName


@pytest.mark.parametrize(
    ("licence", "limit"),
    [
        (
            "flux-1-dev-non-commercial-license",
            "non-commercial use only, and its images must not train a model that competes with FLUX.1 [dev]",
        ),
        ("sai-nc-community", "non-commercial use only"),
        ("Stabilityai-AI-Community", "free up to a yearly revenue that it states, and its images must not train a "),
        ("cc-by-nc-4.0", "non-commercial use only"),
        ("somebodys-Non-Commercial-thing", "non-commercial use only"),
    ],
)
def test_a_licence_with_limits_is_one_sentence(licence: str, limit: str) -> None:
    warning = licence_warning("owner/model", licence)
    assert warning is not None
    assert warning.startswith(f"owner/model is licensed under {licence}: {limit}")
    assert warning.endswith("; read it before you train on, or share, what was made here")
    assert "\n" not in warning


@pytest.mark.parametrize(
    "name",
    [
        *("Kwai-Kolors/Kolors-diffusers", "modelscope:Kwai-Kolors/Kolors-diffusers at 7e091c75199e, variant fp16"),
        *("./models/Kolors", "C:\\models\\kolors-diffusers"),
    ],
)
def test_a_second_licence_counts_whatever_the_card_says(name: str) -> None:
    """Kolors' card says apache-2.0, and nothing of the other file, which is about just what is done here."""
    warning = licence_warning(name, "apache-2.0")
    assert warning is not None
    assert warning.startswith(f"{name} is licensed under apache-2.0, but its MODEL_LICENSE says")
    assert "must not improve another large model; read it before you train on" in warning


@pytest.mark.parametrize(
    "licence", [None, "", "openrail", "openrail++", "creativeml-openrail-m", "apache-2.0", "mit", "other"]
)
def test_other_licences_need_no_warning(licence: str | None) -> None:
    assert licence_warning("owner/model", licence) is None


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\ntags:\n- a\n---\n# Model", "mit"),
        ("---\ntags: [a]\nlicense: other\nlicense_name: sai-nc-community\nlicense_link: x\n---\n", "sai-nc-community"),
        ("---\nlicense: 'creativeml-openrail-m'\n---\n", "creativeml-openrail-m"),
        ("---\nlicense:\nlanguage: en\n---\n", None),
        ("---\ntags: []\n---\nlicense: mit", None),
        ("license: mit", None),
        ("---\ntitle: My model: v2\nlicense: mit\n---\n", "mit"),
        ("---\n- license: mit\n---\n", None),
        ("---\ntags: 3\nlicense: mit\n---\n", "mit"),
        ("---\nlicense: 1.0\n---\n", "1.0"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("\ufeff---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0"),
    ],
)
def test_the_licence_is_what_the_card_says(pipeline: Path, card: str, licence: str | None) -> None:
    (pipeline / "README.md").write_text(card, encoding="utf-8")
    assert locate_pipeline(ModelName(name=str(pipeline)), "generate.model").licence == licence


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: cc-by-nc-4.0\nauthor: Jos\xe9\n---\n".encode("latin-1"), "cc-by-nc-4.0"),
        (b"\xef\xbb\xbf---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0"),
        ("\ufeff---\nlicense: cc-by-nc-4.0\n---\n".encode("utf-16-le"), "cc-by-nc-4.0"),
        ("\ufeff---\nlicense: cc-by-nc-4.0\n---\n".encode("utf-16-be"), "cc-by-nc-4.0"),
        (b"---\r\nlicense: cc-by-nc-4.0\r\n---\r\n", "cc-by-nc-4.0"),
        (b"---\nlicense: cc-by-nc-4.0\n---\n" + b"x" * 10_000_000, "cc-by-nc-4.0"),
        (b"---\nlicense: {a: [b]}\n---\n", None),
        (b"---\na: &a [x, x]\nb: &b [*a, *a]\nlicense: [*b, mit]\n---\n", "mit"),
        (b"---\nlicense: " + b"[" * 100_000 + b"\n---\n", None),
        (b"---\nlicense: [mit, 7, null]\n---\n", "mit, 7"),
    ],
)
def test_a_card_in_another_encoding_keeps_its_licence(pipeline: Path, card: bytes, licence: str | None) -> None:
    (pipeline / "README.md").write_bytes(card)
    assert locate_pipeline(ModelName(name=str(pipeline)), "generate.model").licence == licence


@pytest.mark.parametrize(
    "head",
    [
        "license: cc-by-nc-4.0\nx: !!bool abc",
        "license: cc-by-nc-4.0\nlicense: cc-by-nc-4.0",
        "license: {name: cc-by-nc-4.0}",
        "license: [cc-by-nc-4.0]",
        "license: 'cc-by-nc-4.0'\nx: {",
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
        + "license: cc-by-nc-4.0",
    ],
    ids=["tag", "twice", "mapping", "list", "no YAML", "bomb"],
)
def test_an_odd_head_loses_no_licence_and_takes_no_time(tmp_path: Path, head: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{head}\n---\n# Model\n")
    start = time.process_time()
    assert card_licence(tmp_path / "README.md") == "cc-by-nc-4.0"
    assert time.process_time() - start < 5
