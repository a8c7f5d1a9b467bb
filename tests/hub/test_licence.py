from pathlib import Path

import pytest

from diffaug.hub.licence import licence_warning
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
        ("---\ntitle: My model: v2\nlicense: mit\n---\n", None),
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
