"""The plan of everything to be made, before the first image is drawn."""

from pathlib import Path

from diffaug.dataset.records import read_set
from diffaug.generation.plan.formats import common_format
from diffaug.generation.plan.images import plan_cls
from diffaug.generation.plan.jobs import Plan
from diffaug.generation.plan.prompts import check_classes
from diffaug.generation.plan.scenes import plan_items, plan_pasted, plan_redrawn
from diffaug.params.generate import GenerateParams


def make_plan(params: GenerateParams) -> Plan:
    """The plan for the real train sets on this disk."""
    cls, det = (read_set(Path(f"data/real/{task}/train")) for task in ("cls", "det"))
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
