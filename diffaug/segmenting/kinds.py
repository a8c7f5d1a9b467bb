"""Which networks of transformers can find objects, told from their configuration. No torch: `check` needs it."""

from pathlib import Path

from diffaug.hub.configs import read_mapping, shortened
from diffaug.runtime.errors import UserError

KEY = "generate.segmenter"
BY_TEXT = "clipseg"
# By model_type. The published SAM 2 are video models, whose part for single images is used.
KINDS = {"sam": "SAM", "sam2": "SAM 2", "sam2_video": "SAM 2", BY_TEXT: "CLIPSeg"}


def kind_of(folder: Path) -> str:
    """The model_type of a network's config.json. Raises UserError if it is not one that finds objects."""
    found = read_mapping(folder / "config.json").get("model_type")
    if found not in tuple(KINDS):
        raise UserError(
            f"params.yaml: {KEY}: {folder / 'config.json'}: model_type: found {shortened(found)}; allowed are "
            f"{', '.join(KINDS)} ({', '.join(dict.fromkeys(KINDS.values()))} as transformers saves them)"
        )
    return str(found)
