"""The key of a trained model changes with everything that it depends on, and with nothing else."""

import os
import shutil
from pathlib import Path

import pytest
from default_params import params

from diffaug.runtime import code
from diffaug.runtime.seals import seal
from diffaug.training import finished
from diffaug.training.finished import Finished, Training

TRAINING = Training("cls", "real", 0)


def key(training: Training = TRAINING, **changes: object) -> str:
    return Finished.of(training, params(**changes)).folder.name


def test_it_is_the_same_for_the_same(project: Path) -> None:
    assert key() == key()
    assert key(jobs=7) == key(merge={"ratio": 1.0}) == key(train_det={"learning_rate": 0.1}) == key(seeds=[5])
    (project / "data/real/det/train/part-00000.parquet").write_bytes(b"other")
    assert key() == key()


def test_it_changes_with_the_seed_the_parameters_and_the_data(project: Path) -> None:
    keys = {key(), key(Training("cls", "real", 1)), key(Training("cls", "merged", 0)), key(Training("det", "real", 0))}
    keys |= {key(train_cls={"learning_rate": 0.1})}
    for number, split in enumerate(("train", "val")):
        file = project / f"data/real/cls/{split}/part-00000.parquet"
        file.write_bytes(b"other")
        os.utime(file, ns=(number, number))
        keys |= {key()}
    assert len(keys) == 7


def test_it_changes_with_the_code_the_libraries_and_the_threads(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [key()]
    monkeypatch.setattr(code, "fingerprint", lambda *modules: "other code")
    keys.append(key())
    monkeypatch.setattr(finished, "version", lambda library: "0.0")
    keys.append(key())
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    keys.append(key())
    monkeypatch.setattr(finished.cores, "gpus", lambda: ("a GPU",))
    keys.append(key())
    assert len(set(keys)) == 5


def test_weights_count_by_their_content(project: Path) -> None:
    (project / "w.safetensors").write_bytes(b"1")
    before = key(train_cls={"weights": "w.safetensors"})
    (project / "w.safetensors").write_bytes(b"2")
    assert key(train_cls={"weights": "w.safetensors"}) != before


def test_the_models_that_were_used_last_are_kept(project: Path) -> None:
    folders = []
    for number in range(7):
        one = Finished(project / ".work/trained/train_cls-real-0" / f"{number}")
        with one.lock():
            shutil.copytree(project / "data", one.model)
            seal(one.model)
        os.utime(one.folder, (number, number))
        folders.append(one)
    with folders[1].lock():  # it is being trained
        folders[6].make_room()
    assert [one.exists for one in folders] == [False, True, False, True, True, True, True]


@pytest.mark.parametrize("arguments", [[], ["real"], ["both", "0"], ["real", "x"], ["real", "0", "1"]])
def test_a_wrong_command_line_says_how_to_call_it(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"usage: python stages/train_cls\.py real\|merged SEED"):
        Training.of("cls", ["train_cls.py", *arguments])


def test_a_damaged_model_of_the_work_cache_is_trained_again(project: Path) -> None:
    one = Finished(project / ".work/trained/train_cls-real-0/key")
    one.model.mkdir(parents=True)
    (one.model / "model.safetensors").write_bytes(b"weights")
    seal(one.model)
    assert one.exists
    (one.model / "model.safetensors").write_bytes(b"weightz")
    assert not one.exists
