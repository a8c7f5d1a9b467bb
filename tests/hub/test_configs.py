import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from systems import posix

from diffaug.hub.configs import MAX_BYTES, MAX_ENTRIES, check_small_files, read_json, read_mapping, read_shards
from diffaug.runtime.errors import UserError


def refused(call: Any, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        call(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500 and message.startswith(str(path.parent))
    return message.removeprefix(f"{path.parent}/")


def check_folder(path: Path) -> None:
    check_small_files(path.parent)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1', r"x\.json: not readable \(.*\); fetch the model again, or take another"),
        (b"", "x.json: not readable"),
        (b"\xff\xfe", "x.json: not readable"),
        (b"\xef\xbb\xbf{}", "x.json: not readable"),
        (b"9" * 5000, "x.json: not readable"),
        (b"[1, 2]", "x.json: found a list; allowed is a mapping"),
        (b"null", "x.json: found a NoneType; allowed is a mapping"),
        (b'{"a":' * 200_000, "x.json: is nested more than 64 deep"),
        (b"[" * 65 + b"]" * 65, "x.json: is nested more than 64 deep"),
        (b'{"a": [' + b"1," * MAX_ENTRIES + b"1]}", "x.json: a has 1000001 entries, and at most 1000000 are allowed"),
        (b"[" + b"[]," * 5_000_001 + b"[]]", "x.json: has 5000001 values, and at most 5000000 are allowed"),
    ],
)
def test_what_is_no_mapping_within_the_limits_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert re.match(words, refused(read_mapping, tmp_path / "x.json"))


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("wb") as handle:
        handle.truncate(MAX_BYTES + 1)
    assert refused(read_json, tmp_path / "x.json").startswith("x.json: has 67108865 bytes, and at most 67108864 are")
    (tmp_path / "y.json").mkdir()
    assert refused(read_json, tmp_path / "y.json").startswith("y.json: is not a file")
    assert refused(read_json, tmp_path / "z.json").startswith("z.json: is not a file")


@posix
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.json")
    assert refused(read_json, tmp_path / "x.json").startswith("x.json: is not a file")


def test_shards_are_sorted_names(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(
        '{"weight_map": {"a": "m-2-of-2.safetensors", "b": "m-1-of-2.safetensors", "c": "m-2-of-2.safetensors"}}'
    )
    assert read_shards(index) == ["m-1-of-2.safetensors", "m-2-of-2.safetensors"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"metadata": {}}', "None; allowed is a mapping"),
        ('{"weight_map": ["a"]}', "a list of 1; allowed is a mapping"),
        ('{"weight_map": {"a": 5}}', "5; allowed are names of files in its folder"),
        ('{"weight_map": {"a": "../../x.safetensors"}}', "'../../x.safetensors'; allowed are names"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "'/etc/passwd'; allowed are names"),
        ('{"weight_map": {"a": "x\\\\y.safetensors"}}', r"'x\\y.safetensors'; allowed are names"),
        ('{"weight_map": {"a": ["x"]}}', "a list of 1; allowed are names"),
    ],
)
def test_a_shard_that_is_no_file_name_is_refused(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    message = refused(check_folder, tmp_path / "model.safetensors.index.json")
    assert message.startswith(f"model.safetensors.index.json: weight_map: found {found}")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", {"num_layers": 10**6}, "num_layers: found 1000000, and at most 1000 is allowed"),
        ("config.json", {"layers_per_block": [2, [10**9]]}, "layers_per_block: found 1000000000, and at most 1000"),
        ("config.json", {"vision_config": {"num_hidden_layers": 2000}}, "num_hidden_layers: found 2000"),
        ("config.json", {"depths": [2, 2000]}, "depths: found 2000"),
        ("config.json", {"num_labels": 10**9}, "num_labels: found 1000000000, and at most 30000"),
        ("config.json", {"vocab_size": 10**5000 // 10**4900}, "vocab_size: found a number of more than 60 digits"),
        ("config.json", {"max_position_embeddings": 10**9}, "max_position_embeddings: found 1000000000"),
        ("scheduler_config.json", {"num_train_timesteps": 10**9}, "num_train_timesteps: found 1000000000"),
    ],
)
def test_sizes_that_no_model_has_are_refused(tmp_path: Path, file: str, content: Any, words: str) -> None:
    (tmp_path / file).write_text(json.dumps(content))
    assert refused(check_folder, tmp_path / file).startswith(f"{file}: {words}")


def test_the_sizes_of_published_models_are_allowed(tmp_path: Path) -> None:
    """Of SDXL, Flux, Qwen-Image and its text encoder, Llama 4, Gemma 3, and a classifier of ImageNet-21k."""
    files: dict[str, Any] = {
        "config.json": {
            "block_out_channels": [320, 640, 1280],
            "transformer_layers_per_block": [1, 2, 10],
            "num_single_layers": 38,
            "num_layers": 60,
            "max_window_layers": 28,
            "vocab_size": 262_208,
            "rope_theta": 1_000_000_000,
            "max_position_embeddings": 10_485_760,
            "image_token_id": 151_655,
            "num_labels": 21_843,
            "label2id": {"blocks": 20_001, "layers": 20_002},
            "projection_class_embeddings_input_dim": 2816,
        },
        "scheduler_config.json": {"num_train_timesteps": 1000, "trained_betas": [0.5] * 4000},
        "tokenizer_config.json": {"model_max_length": 1000000000000000019884624838656},
        "preprocessor_config.json": {"size": {"longest_edge": 12_845_056}, "max_pixels": 12_845_056},
        "vocab.json": {"layers</w>": 11_735, "depth</w>": 9_649, "blocks": 500_000},
        "tokenizer.json": {"model": {"vocab": {f"w{i}": i for i in range(262_000)}, "merges": [["a", "b"]] * 580_000}},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "merges.txt").write_text("a b\n" * 200_000)
    check_small_files(tmp_path)


def test_a_text_of_too_many_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("a b\n" * 1_000_001)
    assert refused(check_folder, tmp_path / "merges.txt").startswith("merges.txt: has 1000001 lines, and at most")
