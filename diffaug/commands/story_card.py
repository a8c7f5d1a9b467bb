"""The model card of a story, in the format of both hubs, and what is added to its model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData

from diffaug.commands.lora_layers import lora_licence, lora_names
from diffaug.commands.score import Scores
from diffaug.diffusion.additions import embedding_file
from diffaug.diffusion.finding import Found
from diffaug.diffusion.loras import lora_file

_HUB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,90}")  # what both hubs take as the name of a model
_PUBLISH = """## Publish it

In this folder, with an account of one of the hubs; OWNER is its name{also}:

```sh
hf auth login && hf upload OWNER/{name} .        # Hugging Face
ms login && ms upload OWNER/{name} .             # ModelScope
```
"""


@dataclass(frozen=True)
class Addition:
    """A file that was added to the model: a LoRA or a learned word. name: of its copy; about: a line of the card."""

    file: Path
    name: str
    about: str


def additions_of(found: Found) -> list[Addition]:
    """The LoRAs and learned words of a model, each with a name of its own. Raises UserError if one is missing."""
    loras = [lora_file(one) for one in found.adapters]
    words = [embedding_file(one) for one in found.embeddings]
    names = lora_names([*loras, *words])
    added = []
    for one, file, name in zip(found.adapters, loras, names):
        licence = lora_licence(Path(one.path), file) or "not stated"
        added.append(Addition(file, name, f"LoRA: {name}, scale {one.scale:g}, licence: {licence}"))
    for word, file, name in zip(found.embeddings, words, names[len(loras) :]):
        added.append(Addition(file, name, f"Learned word: {word.token}, in {name}, licence: not stated"))
    return added


def story_card(
    name: str, style: str, found: Found, additions: Sequence[Addition], prompts: Sequence[str], scores: Scores
) -> str:
    """Its text: the pictures with prompts and scores, the model, what was added to it, and how to publish it."""
    located = found.located
    pictures = [row["file"] for row in scores.rows]
    of_the_hub = found.name.on_hub and found.name.hub != "modelscope"
    data = ModelCardData(
        base_model=found.name.name if of_the_hub else None,
        tags=["diffaug", "text-to-image", *(["lora"] if found.adapters else [])],
        pipeline_tag="text-to-image",
        widget=[{"text": text, "output": {"url": picture}} for text, picture in zip(prompts, pictures)],
    )
    model = f"Model: {located.name}, licence: {located.licence or 'not stated'}"
    paragraphs = [
        f"# {_plain(name)}",
        f"{len(pictures)} pictures in one style{f': {_plain(style)}' if style else ''}.",
        "![All pictures](story.png)",
        _table(prompts, scores),
        scores.verdict.capitalize() + " (LAION's predictor)." if scores.verdict else "No aesthetic score was measured.",
        "\n".join(f"- {_plain(line)}" for line in [model, *(one.about for one in additions)]),
        "Each PNG carries its prompt and settings; `prompts.txt` has the prompts, `scores.csv` the numbers.",
        _publish(name),
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(paragraphs)


def _publish(name: str) -> str:
    if _HUB_NAME.fullmatch(name):
        return _PUBLISH.format(name=name, also="")
    return _PUBLISH.format(name="NAME", also=", and NAME one of letters, digits, -, _ and . for the model")


def _table(prompts: Sequence[str], scores: Scores) -> str:
    judged = "aesthetic" in scores.rows[0]
    rows = ["| picture | prompt |" + (" aesthetic |" if judged else ""), "|---|---|" + ("---|" if judged else "")]
    for prompt, row in zip(prompts, scores.rows):
        score = f" {row['aesthetic']:.2f} |" if judged else ""
        rows.append(f"| [{row['file']}]({row['file']}) | {_plain(prompt)} |{score}")
    return "\n".join(rows)


def _plain(text: str) -> str:
    """The text with the marks of Markdown and HTML as letters."""
    return re.sub(r"([\\`*_\[\]<>#|~&$])", r"\\\1", text)
