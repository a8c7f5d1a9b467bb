"""Metrics of whole sets, on features with a known relation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sets import made, noise, real, write_material
from shared_data import shared_weights
from small_models import clip
from torchvision.models import resnet18

from diffaug.params.base import ModelName
from diffaug.params.filter import Embedding, HubNetwork, Network, Quality, TorchvisionNetwork
from diffaug.runtime.errors import UserError
from diffaug.scoring.embedding import measure, measure_real
from diffaug.scoring.networks import open_network
from diffaug.scoring.quality import _compare_records, compare, probe, write_quality

GENERATOR = np.random.default_rng(0)
ANYWHERE = {"min_train": 0.0, "min_heldout": 0.0, "min_generated": 0.0}


def cloud(count: int, shift: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return (shift + spread * GENERATOR.normal(size=(count, 6))).astype(np.float32)


def test_the_same_distribution_another_and_a_collapsed_one() -> None:
    train = cloud(150)
    sets = cloud(150), cloud(150, 4.0), cloud(150, 0.0, 0.1)
    alike, shifted, collapsed = (compare(train, some, 5) for some in sets)
    assert abs(alike["kid"]) < 0.1 < shifted["kid"]
    assert alike["fid"] < 2 < shifted["fid"]
    assert alike["precision"] > 0.7 > 0.1 > shifted["precision"]
    assert alike["recall"] > 0.7 > 0.1 > collapsed["recall"]
    assert alike["coverage"] > 0.8 > 0.5 > collapsed["coverage"]
    same, other = (probe(train, some) or 0.0 for some in sets[:2])
    assert 0.35 < same < 0.65 < 0.99 < other
    assert collapsed["precision"] == pytest.approx(1.0)


def test_precision_and_the_rest_by_hand() -> None:
    """On a line, with one neighbour: real points 0, 1, 2, 10 have balls of radius 1, 1, 1 and 8; synthetic points
    0.5, 5 and 30 have balls of radius 4.5, 4.5 and 25. 30 is in no real ball; all real points are in a synthetic ball;
    three real balls contain 0.5 or 5, with one neighbour each: those of 0, of 1, and of 10 (from 2 to 18)."""
    line = [np.array([[value] for value in points], np.float32) for points in ((0, 1, 2, 10), (0.5, 5, 30))]
    found = compare(*line, 1)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(1.0)
    assert found["density"] == pytest.approx(3 / 3)
    assert found["coverage"] == pytest.approx(3 / 4)
    assert probe(*line) is None


def test_fid_is_left_out_where_images_are_fewer_than_features() -> None:
    assert compare(cloud(6), cloud(50), 3)["fid"] is None
    assert compare(cloud(7), cloud(50), 3)["fid"] is not None


def test_the_numbers_are_the_same_every_time() -> None:
    train, some = cloud(60), cloud(60)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = compare(train, some, 5)
    assert torch.equal(torch.get_rng_state(), state)  # the caller's random numbers are not changed
    torch.manual_seed(6)
    assert compare(train, some, 5) == first


@pytest.fixture
def resnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TorchvisionNetwork:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    save_file(resnet18().state_dict(), tmp_path / "r.safetensors")
    return TorchvisionNetwork(torchvision="resnet18", weights="r.safetensors")


def test_a_network_of_torchvision_gives_its_features(resnet: TorchvisionNetwork, tmp_path: Path) -> None:
    material = write_material(tmp_path, [made("a", noise(1)), made("b", noise(2))])
    features = open_network(resnet, material, "filter.cls.embedding.network")
    records = list(material.generated)
    both, mirrored = features(records), features(records, mirror=True)
    assert both.shape == (2, 512) and both.dtype == np.float32
    assert not np.allclose(both, mirrored)
    assert np.array_equal(features(records[1:])[0], both[1])


def test_embeddings_name_the_nearest(resnet: TorchvisionNetwork, tmp_path: Path) -> None:
    material = write_material(
        tmp_path,
        [made("a", noise(1)), made("b", noise(2).transpose(0))],
        train=[real("t0", noise(1), "train"), real("t1", noise(7), "train")],
        test=[real("s0", noise(2), "test")],
    )
    columns = measure(material, Embedding(network=resnet, **ANYWHERE))
    assert columns["embedding_nearest_train"][0] == "t0" and columns["embedding_train"][0] == pytest.approx(0, abs=1e-6)
    assert columns["embedding_nearest_heldout"] == ["s0", "s0"]
    assert columns["embedding_heldout"][1] == pytest.approx(0, abs=1e-6)  # mirrored
    assert columns["embedding_generated"][0] == 2.0 and columns["embedding_generated"][1] > 0
    t0_to_s0, t1_to_s0 = measure_real(material, Embedding(network=resnet, **ANYWHERE))["min_heldout"]
    assert t0_to_s0 == pytest.approx(columns["embedding_heldout"][0], abs=1e-6)  # a has the pixels of t0
    assert t1_to_s0 != t0_to_s0


def test_a_network_of_the_hub_gives_its_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    material = write_material(tmp_path, [made("a", noise(1)), made("b", noise(2))])
    network: Network = HubNetwork(hub=ModelName(name=str(clip(tmp_path / "clip"))))
    features = open_network(network, material, "filter.cls.embedding.network")(list(material.generated))
    assert features.shape == (2, 16)
    assert np.linalg.norm(features, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "words"),
    [("resnet9", "torchvision has no classifier 'resnet9'"), ("resnet18", "x.* does not exist")],
)
def test_an_unknown_network_is_one_line(name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    network = TorchvisionNetwork(torchvision=name, weights="x.safetensors")
    with pytest.raises(UserError, match=rf"filter\.cls\.quality\.network: .*{words}"):
        open_network(network, write_material(tmp_path, []), "filter.cls.quality.network")


def test_a_real_network_tells_noise_from_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ImageNet's MobileNetV2: images of one kind are near each other, and the probe separates two kinds."""
    monkeypatch.chdir(tmp_path)
    weights = str(shared_weights("mobilenet_v2_imagenet_features.safetensors"))
    network = TorchvisionNetwork(torchvision="mobilenet_v2", weights=weights)
    train = [real(f"t{n}", noise(n), "train") for n in range(12)]
    val = [real(f"v{n}", noise(20 + n), "val") for n in range(12)]
    test = [real(f"s{n}", noise(60 + n), "test") for n in range(12)]
    sharp = [made(f"g{n}", noise(n).resize((4, 4)).resize((32, 32), 0)) for n in range(40, 52)]
    names = ("all", "dog")  # a class may have this name
    material = write_material(tmp_path, sharp, train=train, val=val, test=test, names=names)
    write_quality(tmp_path, material, {f"g{n}" for n in range(40, 52)}, Quality(network=network, nearest=3))
    written = json.loads((tmp_path / "quality.json").read_text())
    synthetic, reference = written["synthetic"]["all"], written["real_val"]["all"]
    assert synthetic["images"] == 12 and synthetic["probe"] > 0.95 > reference["probe"]
    assert synthetic["kid"] > reference["kid"]
    assert synthetic["fid"] is None
    assert written["synthetic"]["classes"] == {"all": synthetic, "dog": {"images": 0}}


@pytest.mark.parametrize(("count", "known"), [(4, False), (5, True)])
def test_too_few_images_have_no_numbers(tmp_path: Path, count: int, known: bool) -> None:
    """With three neighbours: each image counts as its own neighbour too."""
    features = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    records = [real(f"t{n}", noise(n), "train") for n in range(count)]
    found = _compare_records(records, [], records, lambda some: features, 3)
    assert found["images"] == count and ("precision" in found) == known
