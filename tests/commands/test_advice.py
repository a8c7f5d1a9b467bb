"""The settings that suit images and a machine, each with its reason."""

from diffaug.commands.advice import Choice, Machine, advise
from diffaug.commands.facts import Facts
from diffaug.commands.nearness import Nearness, Score

APART = Nearness(Score(60.0, 30.0, 8.0), Score(20.0, 12.0, 8.0), Score(0.4, 0.02, 0.05))


def looked(**changes: object) -> Facts:
    values = {
        **{"task": "cls", "source": {}, "images": {"train": 30, "val": 9, "test": 300}, "counts": {"a": 10, "b": 20}},
        **{"side": 40, "object": 0, "gray": 0.0, "cuttable": (), "apart": APART},
    }
    return Facts(**values | changes)


def chosen(choices: list[Choice]) -> dict[str, object]:
    return {choice.key: choice.value for choice in choices}


CPU = Machine(None)


def test_too_many_images_to_balance_on_a_cpu_are_limited() -> None:
    """Ten classes of 10 and one of 1000: 9,900 to draw, but 3,000 are the limit."""
    counts = {f"c{number}": 10 for number in range(10)} | {"large": 1000}
    found = chosen(advise(looked(counts=counts), None, "", CPU))
    per_class = found["generate.cls.per_class"]
    assert isinstance(per_class, dict) and per_class["large"] == 0
    assert 2500 < sum(per_class.values()) <= 3000
    assert found["merge.target"] == {"per_class": per_class["c0"] + 10}


def test_thresholds_are_fitted_and_say_to_what() -> None:
    choices = {choice.key: choice for choice in advise(looked(), None, "", CPU)}
    assert not any(key.startswith("filter.det") for key in choices)
    assert choices["filter.cls.hash"].value["min_heldout"] == "auto"
    assert "usually at 20, and 99 of 100 are at 12 or more" in choices["filter.cls.hash"].reason
    assert "cannot be told" not in choices["filter.cls.hash"].reason
    assert "at 0.02 or more. So near, a copy cannot be told" in choices["filter.cls.correlation"].reason
    assert "at most 8 grey levels; here 8, and usually yours have 60" in choices["filter.cls.degenerate"].reason


def test_a_gpu_draws_as_many_images_as_merge_adds() -> None:
    counts = {f"c{number}": 10 for number in range(10)} | {"large": 1000}
    found = chosen(advise(looked(counts=counts), None, "", Machine("a card")))
    assert (found["generate.cls.per_class"], found["merge.target"]) == ("balance", "balance")


def test_uneven_classes_beside_boxes_are_drawn_as_the_ratio_adds_them() -> None:
    """With ratio 1, 390 more images of the rare class would be drawn for nothing, and none of the other."""
    det = looked(task="det", object=12, counts={"x": 50}, cuttable=("x",))
    found = chosen(advise(looked(counts={"rare": 10, "large": 400}), det, "", CPU))
    assert found["generate.cls.per_class"] == {"rare": 10, "large": 400}
    assert found["merge.ratio"] == 1.0


def test_both_tasks_of_which_nothing_can_be_cut_teach_the_generator() -> None:
    det = looked(task="det", object=12, counts={"x": 50})
    found = chosen(advise(looked(), det, "", CPU))
    assert found["train_gen.images"] == "real"
    assert found["generate.det.modes.paste"] is None and "generate.det.modes.img2img" in found
