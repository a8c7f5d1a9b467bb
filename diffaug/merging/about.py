"""What a merged set says about itself."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from diffaug.merging.choosing import Choice
from diffaug.params.merge import MergeParams
from diffaug.scoring.ledger import Entry
from diffaug.training.treatment import BLIND, SHORT, TREATMENT, Treatment


def about_set(params: MergeParams, choice: Choice | None, accepted: Mapping[str, Entry]) -> dict[str, Any]:
    """What `merge` stores with a set for its readers. accepted: by id, what the filter kept."""
    about: dict[str, Any] = {"merge": params.model_dump(), TREATMENT: asdict(_treatment(params, choice))}
    if choice and choice.short:
        about[SHORT] = choice.short
    added = [record for record in (choice.records if choice else ()) if record.id in accepted]
    judged = [accepted[record.id].scores.get("boxes_judged") for record in added]
    if judged and not any(judged) and None not in judged:
        about[BLIND] = sum(len(record.bbox) for record in added)
    return about


def _treatment(params: MergeParams, choice: Choice | None) -> Treatment:
    if choice is None:
        return Treatment()
    probability = params.replace_probability if params.mix == "replace" else None
    return Treatment(
        params.recipe, len(choice.records), params.synthetic_weight, probability, params.recipe == "classic"
    )
