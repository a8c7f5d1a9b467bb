"""The entries of the study that depend on a user's own settings."""

from collections.abc import Iterator, Sequence

from diffaug.commands.advice import Choice

_STEPS = ("train_cls.steps", "train_det.steps")


def study_choices(chosen: Sequence[Choice]) -> Iterator[Choice]:
    """Entries of `study` to replace those of params.yaml, which name numbers of steps, for these choices; null leaves
    one out."""
    values = {choice.key: choice.value for choice in chosen}
    steps = {key: values[key] for key in _STEPS if key in values}

    def times(factor: int) -> list[str]:
        return [f"{key}={factor * value}" for key, value in steps.items()]

    yield Choice("study.steps_x2", times(2), "twice and four times the steps above")
    yield Choice("study.steps_x4", times(4))
    yield Choice("study.classic_longer", ["merge.recipe=classic", *times(4)])
    if (values.get("generate.det.modes.paste") or {}).get("objects") != "generated":
        yield Choice("study.pasted_real", None, "objects are not drawn to be pasted")
    yield Choice("study.train_alone", None, "the generator is trained on your train images as it is")
