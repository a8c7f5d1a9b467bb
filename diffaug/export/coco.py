"""Writes an image set as a COCO folder; in its own file, since the detectors depend on the YOLO export."""

import json
from pathlib import Path

from diffaug.dataset.records import ImageSet
from diffaug.export.folders import file_name


def write_coco(images: ImageSet, folder: Path, split: str) -> None:
    """Write FOLDER/images/* and FOLDER/annotations/instances_SPLIT.json: boxes as x, y, width, height in pixels."""
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, record in enumerate(images, 1):
        name = f"{split}-{file_name(number - 1, record)}"
        (folder / "images" / name).write_bytes(record.image)
        width, height = record.size
        entries.append({"id": number, "file_name": name, "width": width, "height": height})
        for category, box in zip(record.category, record.bbox):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category + 1,
                    "bbox": [round(value, 6) for value in box],
                    "area": round(box[2] * box[3], 6),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(images.names, 1)]
    content = {"images": entries, "annotations": annotations, "categories": categories}
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
    (folder / "annotations" / f"instances_{split}.json").write_text(text + "\n", encoding="utf-8")
