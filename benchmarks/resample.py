"""The cost of 1,000 resamples of mAP if images are matched once, compared with scoring every resampled test set again
with torchmetrics.

python benchmarks/resample.py [--resamples 1000] [--plain 3]
"""

import argparse
import time
from pathlib import Path

import numpy as np

from diffaug.dataset.records import read_set
from diffaug.detector.predicting import detect, load_detector
from diffaug.evaluation.detection import DetPredictions, match, resample_detection, score_detection
from diffaug.evaluation.statistics import image_weights
from diffaug.params import load_params
from diffaug.runtime.device import choose_device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--plain", type=int, default=3, help="number of test sets that are scored again")
    asked = parser.parse_args()
    test = read_set(Path("data/real/det/test"))
    yolo, facts = load_detector(Path(f"models/det/real-{load_params().seeds[0]}"))
    found = detect(yolo, test.records, facts["image_size"], choose_device())
    run = DetPredictions(found, test.records, len(test.names))
    weights = image_weights(len(test), asked.resamples, 0)

    start = time.perf_counter()
    matches = match(run)
    matched = time.perf_counter() - start
    start = time.perf_counter()
    resample_detection(matches, weights)
    resampled = time.perf_counter() - start
    start = time.perf_counter()
    for row in weights[: asked.plain]:
        drawn = np.repeat(np.arange(len(test)), row.astype(int))
        score_detection(
            DetPredictions([found[place] for place in drawn], [test.records[place] for place in drawn], run.classes)
        )
    plain = (time.perf_counter() - start) / asked.plain * asked.resamples

    print(f"{len(test)} images, {sum(len(one.scores) for one in found)} detections, {run.classes} classes")
    print("| resamples | matching once, seconds | resampling, seconds | torchmetrics on each, seconds (extrapolated) |")
    print(f"|---|---|---|---|\n| {asked.resamples} | {matched:.2f} | {resampled:.2f} | {plain:.0f} |")


if __name__ == "__main__":
    main()
