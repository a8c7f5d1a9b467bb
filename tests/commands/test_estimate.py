"""What a run will need, by proportion to the default run."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from default_params import params
from paths import ROOT

from diffaug.commands import estimate as module
from diffaug.commands.estimate import Images, estimate
from diffaug.runtime.errors import UserError

DEFAULT = Images(4800, 5400, 3600 * 28**2 + 1800 * 96**2)


class Usage(NamedTuple):
    free: int


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.joblib, "cpu_count", lambda: 2)
    monkeypatch.setattr(module.cores, "gpus", lambda: ())
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(50 * 2**30))


def minutes(said: str) -> float:
    number, unit = re.match(r"about ([\d.]+) (minutes|hours|days)", said).groups()  # type: ignore[union-attr]
    return float(number) * {"minutes": 1, "hours": 60, "days": 1440}[unit]


def test_the_default_takes_what_it_took() -> None:
    """20 minutes on two cores whose probe gives 0.41, see benchmarks/README.md."""
    assert 16 <= minutes(estimate(params(), DEFAULT, speed=0.41)) <= 25


def test_stable_diffusion_on_a_cpu_takes_days() -> None:
    model = {"name": "owner/model", "revision": "0" * 40}
    chosen = params(download={"unseen_by": None}, generate={"model": model})
    assert minutes(estimate(chosen, DEFAULT)) > 3 * 1440


def test_a_lora_on_the_small_generator_draws_as_fast_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is trained, and models/generator holds the LoRA, but no U-Net."""
    base = {"name": "./pretrained/clothes", "revision": None}
    lora = {"model": base, "size": 32, "steps": 10, "batch_size": 8, "gradient_accumulation": 1}
    chosen = params(train_gen={"method": "lora", "lora": lora}, generate={"model": {"name": "models/generator"}})
    monkeypatch.chdir(tmp_path)
    for name in ("learned.json", "unet/config.json"):
        (tmp_path / "pretrained/clothes" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "pretrained/clothes" / name, tmp_path / "pretrained/clothes" / name)
    before = minutes(estimate(chosen, DEFAULT, speed=0.41))
    assert 16 <= before <= 25
    (tmp_path / "models/generator").mkdir(parents=True)
    shutil.copy(ROOT / "pretrained/clothes/learned.json", tmp_path / "models/generator")
    assert minutes(estimate(chosen, DEFAULT, speed=0.41)) == before


def test_a_gpu_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.cores, "gpus", lambda: ("NVIDIA RTX 4090",))
    assert estimate(params(), DEFAULT).startswith("about an unknown time on NVIDIA RTX 4090, ")


def test_more_seeds_take_longer() -> None:
    more = estimate(params(seeds=[0, 1, 2, 3, 4, 5]), DEFAULT)
    assert 5 <= minutes(more) - minutes(estimate(params(), DEFAULT)) <= 10


def test_large_images_take_longer() -> None:
    small, large = (minutes(estimate(params(), Images(0, 1800, 1800 * side**2))) for side in (96, 640))
    assert 2 <= large - small <= 3


def test_a_disk_without_room_is_found_before_the_run() -> None:
    with pytest.raises(UserError, match=r"about 1026\.\d GiB of disk are needed for 239000000 .* 50\.0 GiB are free"):
        estimate(params(), Images(0, 239_000_000, 239_000_000 * 32**2))


def test_every_seed_has_the_real_images_in_its_own_set() -> None:
    def gibibytes(real: int) -> float:
        return float(re.search(r"([\d.]+) GiB of disk", estimate(params(), Images(0, 0, 0, real)))[1])  # type: ignore[index]

    assert gibibytes(2**30) - gibibytes(0) == pytest.approx(2 * 3)
