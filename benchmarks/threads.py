"""What waiting threads and trainings side by side cost: steps of a small U-Net, in processes of their own.

python benchmarks/threads.py [--steps 40]

The network and the batch are those of the default's generator. Each line is measured alone: a training with all cores
while the machine is quiet, and while another process keeps one core busy, with OpenMP's own way to wait, with threads
that always sleep while they wait, and with diffaug's setting. Then two trainings, one after the other on all cores, and
side by side on half of the cores each.
"""

import argparse
import os
import subprocess
import sys
import time

import joblib

CODE = """
import os, sys, time
if "OMP_WAIT_POLICY" not in os.environ:
    import torch  # before diffaug, which would set it
from diffaug.generator_training.parts import build_unet
import torch
steps = int(sys.argv[1])
torch.manual_seed(0)
unet = build_unet(32, [48, 96], 8, 96)
latents, text, times = torch.randn(64, 8, 8, 8), torch.randn(64, 77, 96), torch.randint(1000, (64,))
for step in range(steps + 5):
    if step == 5:
        start = time.perf_counter()
    unet(latents, times, encoder_hidden_states=text).sample.square().mean().backward()
print(time.perf_counter() - start)
"""
BUSY = "while True: pass"


WAYS = {
    "OpenMP's default": {},
    "always sleeping": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
    "diffaug": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"},
}


def start(steps: int, threads: int, way: str) -> subprocess.Popen:
    """A process that trains this many steps and prints the seconds."""
    environment = {key: value for key, value in os.environ.items() if key not in WAYS["diffaug"]}
    environment |= {"OMP_NUM_THREADS": str(threads), **WAYS[way]}
    command = [sys.executable, "-c", CODE, str(steps)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def alone(steps: int, threads: int, way: str) -> float:
    """Seconds of a step."""
    return float(start(steps, threads, way).communicate()[0]) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40)
    steps, cores = parser.parse_args().steps, joblib.cpu_count()
    print(f"| {cores} cores, seconds a step | quiet | beside a busy process |\n|---|---|---|")
    for way in WAYS:
        quiet = alone(steps, cores, way)
        busy = subprocess.Popen([sys.executable, "-c", BUSY])
        try:
            beside = alone(steps // 2, cores, way)
        finally:
            busy.kill()
        print(f"| {way} | {quiet:.3f} | {beside:.3f} |")
    print("\n| two trainings | seconds of both |\n|---|---|")
    began = time.perf_counter()
    for _ in range(2):
        alone(steps, cores, "diffaug")
    print(f"| one after the other, {cores} threads each | {time.perf_counter() - began:.1f} |")
    began = time.perf_counter()
    both = [start(steps, max(1, cores // 2), "diffaug") for _ in range(2)]
    for one in both:
        one.communicate()
    print(f"| side by side, {max(1, cores // 2)} each | {time.perf_counter() - began:.1f} |")


if __name__ == "__main__":
    main()
