"""What the verdict says about the training sets of the merged arm."""

from diffaug.dataset.records import ImageSet
from diffaug.evaluation.merged import chosen_on_val, unaudited
from diffaug.training.treatment import BLIND

SEEN, UNSEEN = ImageSet(("cell",), ()), ImageSet(("cell",), (), about={BLIND: 360})


def test_scenes_are_unaudited_if_no_box_of_any_seeds_set_was_judged() -> None:
    assert unaudited([UNSEEN, UNSEEN]) == "the audit could judge none of the 360 boxes of the added scenes"
    assert unaudited([UNSEEN, SEEN]) is None


def test_a_setting_that_won_on_val_has_the_luck_of_its_seeds_on_test_too() -> None:
    said = chosen_on_val(6)
    assert said.startswith("6 settings were compared on val") and "may be their luck" in said
