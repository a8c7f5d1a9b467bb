"""COCO ground truth and results of two detectors: with crowds, empty images and a class without an object."""

import json
from pathlib import Path
from typing import Any

import numpy as np

IMAGES, SIZE = 60, 400
NAMES = {1: "cat", 3: "dog", 7: "owl", 9: "unicorn"}  # no unicorn is in any image


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def truth(seed: int = 0, images: int = IMAGES) -> dict[str, list[dict[str, Any]]]:
    """Objects of all three sizes; every fifth image is empty; every fourth has a crowd region."""
    generator = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for image in range(images):
        for number in range(0 if image % 5 == 0 else int(generator.integers(1, 5))):
            crowd = number == 0 and image % 4 == 1
            side = generator.choice([20, 60, 150]) * generator.uniform(0.7, 1.3, 2)
            box = [*generator.uniform(0, SIZE - 200, 2), *(2 * side if crowd else side)]
            rows.append(
                {
                    "id": len(rows),  # the first is 0
                    "image_id": 100 + image,
                    "category_id": int(generator.choice([1, 3, 7])),
                    "bbox": [round(float(value), 2) for value in box],
                    "area": round(float(box[2] * box[3] * generator.uniform(0.5, 1)), 2),
                    "iscrowd": int(crowd),
                }
            )
    return {
        "images": [
            {"id": 100 + image, "file_name": f"val/{image}.jpg", "width": SIZE, "height": SIZE}
            for image in range(images)
        ],
        "categories": [{"id": number, "name": name} for number, name in NAMES.items()],
        "annotations": rows,
    }


def results(of: dict[str, Any], seed: int, skill: float) -> list[dict[str, Any]]:
    """Detections that find a share `skill` of the objects, shifted, with false alarms; none in every seventh image."""
    generator = np.random.default_rng(seed)
    rows = []
    for row in of["annotations"]:
        if row["image_id"] % 7 == 0 or generator.random() > skill:
            continue
        x, y, width, height = row["bbox"]
        dx, dy, dw, dh = generator.normal(0, 0.08, 4)
        box = [x + dx * width, y + dy * height, width * (1 + dw), height * (1 + dh)]
        category = row["category_id"] if generator.random() < 0.9 else int(generator.choice(list(NAMES)))
        rows.append((row["image_id"], category, box, generator.uniform(0.2, 1)))
    for image in of["images"]:
        for _ in range(0 if image["id"] % 7 == 0 else int(generator.integers(0, 3))):
            box = [*generator.uniform(0, 300, 2), *generator.uniform(10, 150, 2)]
            rows.append((image["id"], int(generator.choice(list(NAMES))), box, generator.uniform(0, 0.6)))
    return [
        {
            "image_id": image,
            "category_id": category,
            "bbox": [round(float(value), 2) for value in box],
            "score": round(float(score), 4),
        }
        for image, category, box, score in rows
    ]
