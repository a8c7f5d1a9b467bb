"""Yes and no as tools write them: `difficult` of Pascal VOC and `iscrowd` of COCO."""

from typing import Any

_NO = {"", "0", "0.0", "false", "no", "none", "unspecified"}
_YES = {"1", "1.0", "true", "yes"}


def flag(value: Any) -> bool | None:
    """Whether the value means yes; a value that is absent means no. None: it means neither."""
    text = "" if value is None else str(value).strip().lower()
    return False if text in _NO else True if text in _YES else None
