"""What licences say about training on a model's images. This is a hint for the user, not legal advice."""

import codecs
import re
from pathlib import Path

import yaml

from diffaug.runtime.yaml_files import parse_yaml

# By the license or license_name of the model card; a summary of its terms for outputs and use.
_LIMITS = {
    "flux-1-dev-non-commercial-license": (
        "non-commercial use only, and its images must not train a model that competes with FLUX.1 [dev]"
    ),
    "flux-non-commercial-license": (
        "non-commercial use only, and its images must not train a model that competes with FLUX"
    ),
    "flux-dev-non-commercial-license": (
        "non-commercial use only, and its images must not train a model that competes with FLUX [dev]"
    ),
    "sai-nc-community": "non-commercial use only",
    "stabilityai-nc-research-community": "non-commercial research only",
    "stabilityai-ai-community": (
        "free up to a yearly revenue that it states, and its images must not train a foundational generative model"
    ),
    "stabilityai-non-commercial-research-community": "non-commercial research only",
    "cc-by-nc-4.0": "non-commercial use only",
    "cc-by-nc-sa-4.0": "non-commercial use only",
}
# By the beginning of the model's own name or folder, in lower case: what a second licence says beside that of the card.
_BESIDE = {
    "kolors": (
        "its MODEL_LICENSE says that commercial use is to be registered, and that its images must not improve another "
        "large model"
    ),
}

_READ = "read it before you train on, or share, what was made here"
_MAX_BYTES = 2**20  # of a model card
_MAX_HEAD = 50_000  # characters of its head, which has the licence and usually a few hundred
_HEAD = re.compile(r"\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(\r?\n|$)", re.DOTALL)
_LINE = re.compile(r"^(license|license_name):[ \t]*['\"]?([\w.-]+)", re.MULTILINE)


def card_head(card: Path) -> str | None:
    """The head of a model's or data set's card, which is YAML; None if it has none."""
    with card.open("rb") as handle:
        content = handle.read(_MAX_BYTES)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    head = _HEAD.match(text)
    return None if head is None else head[1]


def card_licence(card: Path) -> str | None:
    """From a model card: `license_name` if given, otherwise `license`; None if neither is given."""
    head = card_head(card)
    if head is None:
        return None
    try:
        data = parse_yaml(head[:_MAX_HEAD])
        named = data.get("license_name") or data.get("license")
    except (yaml.YAMLError, ValueError, AttributeError):  # not YAML, or not a mapping: the licence is not lost by it
        found = dict(_LINE.findall(head))
        named = found.get("license_name") or found.get("license")
    several = named if isinstance(named, list) else list(named.values()) if isinstance(named, dict) else [named]
    return ", ".join(str(one).strip() for one in several if isinstance(one, str | int | float)) or None


def licence_warning(model: str, licence: str | None) -> str | None:
    """One sentence if the licence limits which models may be trained on the images; None if no limit is known."""
    own = re.split(r"[/\\]", model.lower())[-1]
    named = (text for name, text in _BESIDE.items() if own.startswith(name) and not own.endswith(".safetensors"))
    beside = next(named, None)
    if beside is not None:
        said = f"is licensed under {licence}" if licence else "states no licence in its card"
        return f"{model} {said}, but {beside}; {_READ}"
    limit = _LIMITS.get((licence or "").lower())
    if limit is None and "non-commercial" in (licence or "").lower():
        limit = "non-commercial use only"
    if limit is None:
        return None
    return f"{model} is licensed under {licence}: {limit}; {_READ}"
