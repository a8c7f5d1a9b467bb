"""The addresses of the hubs. huggingface_hub reads its own at import, so these tests need their own processes."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from diffaug.runtime import endpoints
from diffaug.runtime.endpoints import git_address

ASK = "import diffaug, json; from huggingface_hub import constants as c; print(json.dumps([c.ENDPOINT, c.{}]))"
HUB, MIRROR = "https://huggingface.co", "https://mirror.example"


def constants(**environment: str) -> list[object]:
    """huggingface_hub's address, and whether Xet is off, after an import of diffaug."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, "-c", ASK.replace("{}", "HF_HUB_DISABLE_XET")],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, [HUB, False]),
        ({"HF_ENDPOINT": ""}, [HUB, False]),
        ({"HF_ENDPOINT": f"{HUB}/"}, [HUB, False]),
        ({"HF_ENDPOINT": f"{MIRROR}/"}, [MIRROR, True]),
        ({"HF_ENDPOINT": "mirror.example"}, [MIRROR, True]),
        ({"HF_ENDPOINT": MIRROR, "HF_HUB_DISABLE_XET": "0"}, [MIRROR, False]),
        ({"HF_HUB_DISABLE_XET": "1"}, [HUB, True]),
    ],
)
def test_a_mirror_is_asked_without_xet(environment: dict[str, str], found: list[object]) -> None:
    assert constants(**environment) == found


@pytest.mark.parametrize("script", sorted((ROOT / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_a_stage_imports_diffaug_before_any_library(script: Path) -> None:
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            top = (name or "").partition(".")[0]
            if top == "diffaug":
                return
            assert top in sys.stdlib_module_names
    raise AssertionError(f"{script} does not import diffaug")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "https://modelscope.cn"),
        ({"MODELSCOPE_DOMAIN": "www.modelscope.ai"}, "https://www.modelscope.ai"),
        ({"MODELSCOPE_DOMAIN": "old.example", "MODELSCOPE_ENDPOINT": "http://new.example/"}, "http://new.example"),
    ],
)
def test_modelscope_is_where_its_variables_say(
    environment: dict[str, str], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MODELSCOPE_DOMAIN", "MODELSCOPE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert endpoints.modelscope() == address
    assert git_address("a/b", "modelscope") == f"{address}/models/a/b.git"
    assert git_address("a/b", "modelscope", datasets=True) == f"{address}/datasets/a/b.git"


def test_messages_follow_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", MIRROR)
    assert git_address("a/b", "huggingface") == f"{MIRROR}/a/b"
    assert git_address("a/b", "huggingface", datasets=True) == f"{MIRROR}/datasets/a/b"
    monkeypatch.delenv("HF_ENDPOINT")
    assert git_address("a/b", "huggingface") == f"{HUB}/a/b"
