from typing import Any

import pytest

from diffaug.params.filter import Best, ClsChecks, DetChecks
from diffaug.runtime.errors import UserError
from diffaug.scoring.ledger import Entry
from diffaug.scoring.policy import NOT_BEST, judge, select_best

FAR = {"min_train": 3.0, "min_heldout": 4.0, "min_generated": 2.0}
CLS = ClsChecks.model_validate(
    {
        "degenerate": {"min_std": 8.0, "min_entropy": 0.0, "min_sharpness": 0.0, "flagged": "reject"},
        "hash": FAR,
        "label": {"min_probability": 0.1, "max_rank": None, "max_probability": None},
    }
)
FINE = {"std": 8.0, "entropy": 1.0, "sharpness": 1.0, "flagged": -1, "label_probability": 0.1, "label_rank": 3}
FINE |= {"hash_train": 3, "hash_heldout": 4, "hash_generated": 2}


def entry(id: str = "a", label: str = "cat", **scores: Any) -> Entry:
    return Entry(id, label, FINE | scores)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"std": 7.9}, "blank"),
        ({"hash_heldout": 3}, "copy of val or test"),
        ({"label_probability": 0.09}, "label doubted"),
        ({"label_probability": 0.0, "std": 0.0, "hash_train": 0}, "blank"),
    ],
)
def test_the_first_threshold_that_fails_is_the_reason(change: dict, reason: str) -> None:
    judged = judge(entry(**change), CLS)
    assert (judged.reason, judged.accepted) == (reason, reason == "")


def test_a_section_that_is_not_given_rejects_nothing() -> None:
    for name in ("degenerate", "hash", "label"):
        without = CLS.model_copy(update={name: None})
        scores = {key: value for key, value in FINE.items() if not key.startswith(name)}
        others = [bad for bad in ("degenerate", "hash", "label") if bad != name]
        assert judge(Entry("a", "cat", scores), without).accepted
        worse = {"degenerate": {"std": 0.0}, "hash": {"hash_train": 0}, "label": {"label_probability": 0.0}}
        assert all(not judge(Entry("a", "cat", scores | worse[bad]), without).accepted for bad in others)


@pytest.mark.parametrize(("policy", "ignored"), [("ignore", ((1.0, 2.0, 3.0, 4.0),)), ("keep", ())])
def test_scenes_with_new_objects_may_stay(policy: str, ignored: tuple) -> None:
    audit = {"sure": 0.5, "found": 0.1, "min_iou": 0.5, "min_recall": 0.8, "new_objects": policy}
    new = Entry("a", "cat", {"box_iou": 1.0, "new_object": 0.9, "new_boxes": "[[1.0, 2.0, 3.0, 4.0, 0.9]]"})
    judged = judge(new, DetChecks.model_validate({"audit": audit}))
    assert (judged.accepted, judged.ignored) == (True, ignored)


def test_the_best_of_every_class_stay() -> None:
    entries = [
        entry(f"{label}{n}", label, label_probability=(n + 2 * (label == "cat")) / 10)
        for label in ("cat", "dog")
        for n in range(4)
    ]
    entries[3] = judge(entry("cat3", "cat", std=0.0, label_probability=0.9), CLS)
    best = Best(count=2, by="label_probability", order="highest")
    kept = [one.id for one in select_best(entries, best, "cls") if one.accepted]
    assert kept == ["cat1", "cat2", "dog2", "dog3"]  # cat3 is blank, so it does not count
    lowest = select_best(entries, best.model_copy(update={"order": "lowest"}), "cls")
    assert [one.id for one in lowest if one.accepted] == ["cat0", "cat1", "dog0", "dog1"]
    assert {one.reason for one in lowest if not one.accepted} == {"blank", NOT_BEST}
    everything = select_best(entries, best, "det")  # scenes have several classes
    assert [one.id for one in everything if one.accepted] == ["cat1", "cat2"]


def test_of_equals_the_lower_id_stays() -> None:
    entries = [entry(id) for id in ("b", "c", "a")]
    best = Best(count=1, by="std", order="highest")
    assert [one.id for one in select_best(entries, best, "cls") if one.accepted] == ["a"]


def test_an_unknown_column_names_those_that_there_are() -> None:
    best = Best(count=1, by="beauty", order="highest")
    with pytest.raises(UserError, match=r"best\.by: found 'beauty'; allowed are entropy, flagged, hash_gen"):
        select_best([entry()], best, "cls")
    assert select_best([], best, "cls") == []
