import json

from diffaug.dataset.provenance import Composition, DrawnPart, Part, Provenance, models_of

PARTS = (
    DrawnPart(Part((0, 1, 8, 9), object=2, padding=3, feather=1), "a cat", 5, 0.5),
    DrawnPart(Part((9, 9, 12, 12)), "a dog", 6, 1.0),
)


def test_a_composition_is_read_as_it_was_written() -> None:
    for composition in (Composition(), Composition(parts=PARTS), Composition(pasted=((-3, 5, 10, 20), (0, 0, 4, 4)))):
        made = Provenance(settings={"width": 64}, composition=composition).columns()
        assert Composition.read(made["settings"]) == composition
        assert json.loads(made["settings"])["width"] == 64
    assert Composition.read(None) == Composition()


def test_the_columns_are_those_of_a_row() -> None:
    columns = Provenance(mode="img2img", prompt="a cat", steps=20, settings={"b": 1, "a": 2}).columns()
    assert (columns["mode"], columns["prompt"], columns["steps"], columns["seed"]) == ("img2img", "a cat", 20, None)
    assert columns["settings"] == '{"a": 2, "b": 1}'
    assert "composition" not in columns


def test_a_controlnet_has_its_own_licence() -> None:
    assert models_of(None, None, None) == set()
    assert models_of("base", "mit", "{}") == {("base", "mit")}
    guided = {"controlnet": {"model": {"name": "edges"}}, "controlnet_licence": "openrail"}
    assert models_of("base", None, json.dumps(guided)) == {("base", None), ("edges", "openrail")}
    guided["controlnet"] = {"model": {"hub": "modelscope", "name": "own/edges"}}
    assert models_of(None, None, json.dumps(guided)) == {("modelscope:own/edges", "openrail")}
