"""How similar kept and real images are as sets, in a network's features; and how well a classifier separates them."""

import contextlib
import io
import json
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prdc import compute_prdc
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from diffaug.dataset.records import Record
from diffaug.params.filter import Quality
from diffaug.runtime.files import atomic_path
from diffaug.scoring.ledger import QUALITY
from diffaug.scoring.material import Material, select
from diffaug.scoring.networks import Features, open_network

_KID_SUBSETS, _KID_SIZE = 50, 1000
_FOLDS = 5


def write_quality(folder: Path, material: Material, kept: Collection[str], params: Quality) -> dict[str, Any]:
    """Write `quality.json`, and return its content: the network, and `compare`'s numbers of kept synthetic images
    against real train images and, as a reference, of equally many real val images; for all and, for classification, for
    every class. probe: how well a linear classifier separates either from real test images, which the network has not
    seen."""
    network = open_network(params.network, material, f"filter.{material.task}.quality.network")
    train, test = list(material.real["train"]), list(material.real["test"])
    sets = {"synthetic": select(material.generated, kept), "real_val": list(material.real["val"])}
    content: dict[str, Any] = {"network": params.model_dump(mode="json")["network"], "nearest": params.nearest}
    content |= {name: {"all": {}, "classes": {}} for name in sets}
    for label in (None, *range(len(material.names) if material.task == "cls" else 0)):
        parts = [[one for one in some if label in (None, one.label)] for some in (train, test, *sets.values())]
        count = min(len(part) for part in parts[2:])
        for name, records in zip(sets, parts[2:]):
            numbers = _compare_records(parts[0], parts[1], _subset(records, count), network, params.nearest)
            if label is None:
                content[name]["all"] = numbers
            else:
                content[name]["classes"][material.names[label]] = numbers
    with atomic_path(folder / QUALITY) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return content


def _subset(records: list[Record], count: int) -> list[Record]:
    """Take `count` of them, by their pixels: the numbers depend on the number of images, so both sets have the same."""
    return sorted(records, key=lambda record: record.sha256)[:count]


def _compare_records(
    real: list[Record], unseen: list[Record], made: list[Record], network: Features, nearest: int
) -> dict[str, float | int | None]:
    if min(len(real), len(made)) <= nearest + 1:  # prdc counts an image as its own neighbour
        return {"images": len(made)}
    features = network(made)
    separated = probe(network(_subset(unseen, len(made))), features) if unseen else None
    return {"images": len(made), **compare(network(real), features, nearest), "probe": separated}


def compare(real: np.ndarray, made: np.ndarray, nearest: int) -> dict[str, float | None]:
    """Features float32 (N, D) and (M, D), both with more than `nearest` + 1 rows.

    kid: squared maximum mean discrepancy with a cubic kernel (Binkowski et al. 2018, arXiv:1801.01401), mean and
    deviation over subsets, 0 for the same distribution; fid (Heusel et al. 2017, arXiv:1706.08500) if both sets have
    more rows than features, otherwise None, since it is not reliable for few images; precision, recall (Kynkaanniemi et
    al. 2019, arXiv:1904.06991), density, coverage (Naeem et al. 2020, arXiv:2002.09797).
    """
    with warnings.catch_warnings(action="ignore"):  # it warns that it keeps all features, which is intended
        kid = KernelInceptionDistance(
            feature=_AsTheyAre(real.shape[1]), subsets=_KID_SUBSETS, subset_size=min(len(real), len(made), _KID_SIZE)
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the subsets are drawn with the global generator
        kid_mean, kid_std = (float(value) for value in _fed(kid, real, made).compute())
    large = min(len(real), len(made)) > real.shape[1]
    fid = FrechetInceptionDistance(feature=_AsTheyAre(real.shape[1]))
    with contextlib.redirect_stdout(io.StringIO()):  # prdc prints
        shape = compute_prdc(real, made, nearest)
    return {
        "kid": kid_mean,
        "kid_std": kid_std,
        "fid": float(_fed(fid, real, made).compute()) if large else None,
        **{name: float(shape[name]) for name in ("precision", "recall", "density", "coverage")},
    }


class _AsTheyAre(nn.Module):
    """The identity network, for a metric that gets features instead of images."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def _fed(metric: Any, real: np.ndarray, made: np.ndarray) -> Any:
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(made), real=False)
    return metric


def probe(real: np.ndarray, made: np.ndarray) -> float | None:
    """Area under the ROC curve of a linear classifier of the two sets' features (N, D) and (M, D), cross-validated: 0.5
    cannot separate them, 1 always can; a network can learn any difference that it uses. None with too few images."""
    if min(len(real), len(made)) < 2 * _FOLDS:
        return None
    answers = np.repeat([0, 1], [len(real), len(made)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    return float(cross_val_score(classifier, np.concatenate([real, made]), answers, cv=folds, scoring="roc_auc").mean())
