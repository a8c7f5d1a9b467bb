"""The model card of a story, in the format of both hubs."""

from collections.abc import Sequence

from huggingface_hub import ModelCardData

from diffaug.commands.score import Scores
from diffaug.diffusion.finding import Found
from diffaug.diffusion.loras import lora_file

_PUBLISH = """## Publish it

In this folder, with an account of one of the hubs; OWNER is its name:

```sh
hf auth login && hf upload OWNER/{name} .        # Hugging Face
ms login && ms upload OWNER/{name} .             # ModelScope
```
"""


def story_card(name: str, style: str, found: Found, prompts: Sequence[str], scores: Scores) -> str:
    """Its text: the pictures with prompts and scores, the model, the LoRAs with their scales, and how to publish."""
    located = found.located
    pictures = [row["file"] for row in scores.rows]
    data = ModelCardData(
        base_model=located.name if found.name.on_hub else None,
        tags=["diffaug", "text-to-image", *(["lora"] if found.adapters else [])],
        pipeline_tag="text-to-image",
        widget=[{"text": text, "output": {"url": picture}} for text, picture in zip(prompts, pictures)],
    )
    loras = [f"- LoRA: {lora_file(one).name}, scale {one.scale:g}; its licence is not stated" for one in found.adapters]
    paragraphs = [
        f"# {name}",
        f"{len(pictures)} pictures in one style{f': {style}' if style else ''}.",
        "![All pictures](story.png)",
        _table(prompts, scores),
        scores.verdict.capitalize() + " (LAION's predictor)." if scores.verdict else "No aesthetic score was measured.",
        "\n".join([f"- Model: {located.name}, licence: {located.licence or 'not stated'}", *loras]),
        "Each PNG carries its prompt and settings; `prompts.txt` has the prompts, `scores.csv` the numbers.",
        _PUBLISH.format(name=name),
    ]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(paragraphs)


def _table(prompts: Sequence[str], scores: Scores) -> str:
    judged = "aesthetic" in scores.rows[0]
    rows = ["| picture | prompt |" + (" aesthetic |" if judged else ""), "|---|---|" + ("---|" if judged else "")]
    for prompt, row in zip(prompts, scores.rows):
        plain = prompt.replace("|", "\\|").replace("<", "\\<")
        score = f" {row['aesthetic']:.2f} |" if judged else ""
        rows.append(f"| [{row['file']}]({row['file']}) | {plain} |{score}")
    return "\n".join(rows)
