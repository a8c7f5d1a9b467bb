"""The plan of everything to be made, before the first image is drawn."""

from pathlib import Path

from diffaug.dataset.records import ImageSet, read_set
from diffaug.generation.plan.formats import common_format
from diffaug.generation.plan.images import plan_cls
from diffaug.generation.plan.jobs import Plan
from diffaug.generation.plan.prompts import check_classes
from diffaug.generation.plan.scenes import plan_items, plan_pasted, plan_redrawn
from diffaug.params.generate import GenerateParams


def make_plan(params: GenerateParams) -> Plan:
    """The plan for the real train sets on this disk."""
    return plan_for(params, *(read_set(Path(f"data/real/{task}/train")) for task in ("cls", "det")))


def plan_for(params: GenerateParams, cls: ImageSet, det: ImageSet) -> Plan:
    """The plan for these real train sets; a task that is switched off has an empty one. Raises UserError if a mode
    finds nothing to start from."""
    if cls.names or det.names:
        check_classes(params, sorted({*cls.names, *det.names}))
    items = plan_items(params, det.names, common_format(det)[1]) if len(det) else []
    parts, redrawn = plan_redrawn(params, det)
    return Plan(
        cls=cls,
        det=det,
        images=tuple(plan_cls(params, cls)),
        items=tuple(items),
        parts=tuple(parts),
        scenes=(*redrawn, *plan_pasted(params, det, items)),
    )
