"""The repository's parameters, with changes."""

import yaml
from paths import ROOT
from project import merged

from diffaug.params import Params


def params(**changes: object) -> Params:
    """The checked parameters of params.yaml, with these changes merged into their sections."""
    return Params.model_validate(merged(yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")), changes))
