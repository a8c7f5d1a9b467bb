import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import SMALL, small
from damage import refused

from diffaug.detector.architecture import HEADS, check_architecture, read_architecture
from diffaug.detector.network import network


def own_names() -> list[str]:
    """Every name of Ultralytics for a detector, in each of its sizes."""
    import ultralytics
    from ultralytics.nn.tasks import yaml_model_load

    names = []
    for file in sorted((Path(ultralytics.__file__).parent / "cfg/models").rglob("*.yaml")):
        layers = yaml_model_load(str(file))
        if layers["head"][-1][2] in HEADS:
            names += [file.name]
            sizes = layers.get("scales") or {}
            names += [re.sub(r"^(yolov?\d+)", rf"\g<1>{size}", file.name) for size in sizes if len(sizes) > 1]
    return [*names, "yolov5n6.yaml", "yolov8x6.yaml", "yolov5su.yaml"]


def test_known_names_are_read_as_ultralytics_reads_them() -> None:
    from ultralytics.nn.tasks import yaml_model_load

    names = own_names()
    assert len(names) > 100
    for name in names:
        expected = yaml_model_load(name)
        del expected["yaml_file"]
        assert list(read_architecture(name).items()) == list(expected.items()), name


@pytest.mark.parametrize(
    "name", ["yolo11n.yaml", "yolov6n.yaml", pytest.param("rtdetr-l.yaml", marks=pytest.mark.slow)]
)
def test_a_known_name_gives_the_network_of_ultralytics(name: str) -> None:
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

    kind = RTDETRDetectionModel if name.startswith("rtdetr") else DetectionModel
    torch.manual_seed(3)
    expected = kind(name, ch=3, nc=2, verbose=False)
    torch.manual_seed(3)
    found = network(read_architecture(name), ("cat", "dog"), name)
    assert list(found.state_dict()) == list(expected.state_dict())
    assert all(torch.equal(value, found.state_dict()[key]) for key, value in expected.state_dict().items())
    assert type(found) is kind and found.yaml == {key: v for key, v in expected.yaml.items() if key != "yaml_file"}


def test_reading_imports_neither_ultralytics_nor_torch() -> None:
    program = "import sys, diffaug.detector.architecture as a; a.read_architecture('yolo11n.yaml'); "
    program += "sys.exit(bool({'ultralytics', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    "text", ["nn.SiLU()", "torch.nn.ReLU()", "nn.LeakyReLU(0.1)", "nn.LeakyReLU(0.1, inplace=True)"]
)
def test_an_activation_of_torch_is_allowed(text: str) -> None:
    assert check_architecture(small(activation=text), "x")["activation"] == text
    layer = network(small(activation=text), ("a",), "x").model[0].act
    assert type(layer).__name__ == text.rpartition(".nn.")[2].removeprefix("nn.").partition("(")[0]
    assert type(network(small(), ("a",), "x").model[0].act) is torch.nn.SiLU, "another network has its own"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"backbone": [[-1, 1, "torch.hub.load", [8]]]},
            r"backbone\[0\]: module: found 'torch.hub.load'; allowed is A2",
        ),
        ({"backbone": [[-1, 1, "TorchVision", [512, "resnet18"]]]}, r"backbone\[0\]: module: found 'TorchVision'"),
        ({"backbone": [[-1, 1, "nn.Module", []]]}, r"backbone\[0\]: module: found 'nn\.Module'"),
        ({"backbone": [[-1, 1, ["Conv"], [8]]]}, r"backbone\[0\]: module: found a list of 1"),
        (
            {"backbone": [[-1, 1, "Conv", ["__import__('os')"]]]},
            r"backbone\[0\]: args: found a list of 1; allowed is numb",
        ),
        ({"backbone": [[-1, 1, "Conv", ["locals"]]]}, r"backbone\[0\]: args: found"),
        ({"backbone": [[-1, 1, "Conv", [[[[8]]]]]]}, r"backbone\[0\]: args: found"),
        ({"backbone": [[-1, 1, "Conv", [10**9]]]}, r"backbone\[0\]: args: found"),
        ({"backbone": [[-1, 1, "Conv", [float("nan")]]]}, r"backbone\[0\]: args: found"),
        ({"backbone": [[-1, 1, "Conv", {"c2": 8}]]}, r"backbone\[0\]: args: found a mapping of 1"),
        ({"backbone": [[-1, 1, "Detect", ["nc"]]]}, r"backbone\[0\]: module: found 'Detect'"),
        ({"backbone": [[-2, 1, "Conv", [8]]]}, r"backbone\[0\]: from: found -2; allowed is layers before it, below 0"),
        ({"backbone": [[True, 1, "Conv", [8]]]}, r"backbone\[0\]: from: found True"),
        (
            {"backbone": [[-1, 0, "Conv", [8]]]},
            r"backbone\[0\]: repeats: found 0; allowed is a whole number from 1 to 500",
        ),
        ({"backbone": [[-1, 1, "Conv"]]}, r"backbone\[0\]: it: found .*; allowed is \[from, repeats, module, args\]"),
        ({"backbone": []}, r"backbone: found \[\]; allowed is a list of 1 to 200 layers"),
        ({"backbone": "Conv"}, r"backbone: found 'Conv'"),
        (
            {"head": [[-1, 1, "Classify", ["nc"]]]},
            r"head\[0\]: module: found 'Classify'; allowed is in the last layer Det",
        ),
        ({"head": None}, r"head: found None"),
        ({"nc": 10**8}, r"nc: found 100000000; allowed is a whole number from 1 to 30000"),
        ({"nc": "2"}, r"nc: found '2'"),
        ({"reg_max": 10**6}, r"reg_max: found 1000000; allowed is a whole number from 1 to 64"),
        ({"channels": 9}, r"channels: found 9; allowed is a whole number from 3 to 3"),
        ({"end2end": "yes"}, r"end2end: found 'yes'; allowed is true or false"),
        (
            {"scales": {"n": [1.0, 100.0, 64]}},
            r"scales\.n: found \[1.0, 100.0, 64\]; allowed is \[depth, width, max_chan",
        ),
        ({"scales": {"n": [float("nan"), 1.0, 64]}}, r"scales\.n: found"),
        ({"scales": {"n": [1.0, 1.0, 64]}, "scale": "x"}, r"scale: found 'x'; allowed is n"),
        ({"scales": [1, 2]}, r"scales: found \[1, 2\]; allowed is a mapping"),
        ({"width_multiple": 1e9}, r"width_multiple: found 1000000000.0; allowed is a number from 0.01 to 4"),
        ({"script": "x"}, r"a key: found 'script'; allowed is only nc, scales"),
    ],
)
def test_what_is_not_only_data_is_refused(changes: dict[str, Any], words: str) -> None:
    assert re.match(rf"models/x: {words}", refused(lambda: check_architecture(small(**changes), "models/x")))


def row(*values: Any) -> dict[str, Any]:
    return small(backbone=[list(values), *SMALL["backbone"][1:]])


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (row(-1, 10**6, "Conv", [8, 3, 2]), r"backbone\[0\]: repeats: found 1000000"),
        (
            small(backbone=[[-1, 1, "Conv", [8]]] * 10**6),
            "backbone: found a list of 1000000; allowed is a list of 1 to 200",
        ),
        (small(backbone=[[-1, 100, "Conv", [8]]] * 10), "backbone and head: found 1001; allowed is at most 500 layers"),
        (small(backbone=[[-1, 4, "Conv", [4096, 31]]] * 4 + SMALL["backbone"]), r"needs more than|has \d+ weights"),
        (small(backbone=[[-1, 1, "nn.Upsample", [None, 64, "nearest"]]] * 3 + SMALL["backbone"]), "needs more than"),
        (
            small(backbone=[[-1, 1, "RepNCSPELAN4", [64, 64, 32, 4000]]] * 9 + SMALL["backbone"]),
            "needs more than 20000 st",
        ),
    ],
)
def test_a_network_that_would_fill_the_memory_is_refused_unbuilt(layers: dict[str, Any], words: str) -> None:
    message = refused(lambda: network(check_architecture(layers, "x"), ("a",), "x"))
    assert re.match(rf"x: ({words})", message)


@pytest.mark.parametrize("first", [[-1, 1, "Conv", [8, -3]], [-1, 1, "Conv", ["nearest"]], [-1, 1, "Concat", [1]]])
def test_layers_that_do_not_fit_each_other_are_one_line(first: list[Any]) -> None:
    layers = check_architecture(row(*first), "x")
    message = refused(lambda: network(layers, ("a",), "x"))
    assert re.match(r"x: its layers do not fit each other \(.*\); take another architecture", message)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "not readable as YAML: it is nested too deeply"),
        (b"a" * 3_000_000, "has 3000000 bytes"),
        (b"- 1\n", r"it: found \[1\]; allowed is a mapping with backbone and head"),
        (b"", "it: found None; allowed is a mapping"),
        (b"nc: \xe9\n", "not readable as YAML"),
        (b"nc: !!python/object/apply:os.system ['touch pwned']\n", "not readable as YAML"),
        (b"nc: 2000-13-45\n", "not readable as YAML"),
    ],
)
def test_a_yaml_that_is_no_architecture_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_bytes(content)
    assert re.match(rf"own\.yaml: {words}", refused(lambda: read_architecture("own.yaml")))
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "name", ["yolo99n.yaml", "missing/own.yaml", "yolo11n-seg.yaml", "yolov8n-world.yaml", "*.yaml"]
)
def test_a_name_of_no_detector_is_refused(name: str) -> None:
    assert re.match(
        r"params\.yaml: train_det\.model: .*found .* allowed (is|are) ", refused(lambda: read_architecture(name))
    )
