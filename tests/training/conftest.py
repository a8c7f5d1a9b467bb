from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the train and val files of both tasks and arms, of merged for two seeds; their content does not
    matter here."""
    monkeypatch.chdir(tmp_path)
    for name in ("DIFFAUG_WORK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for arm in ("real", "merged/0", "merged/1"):
        for task in ("cls", "det"):
            for split in ("train", "val"):
                file = tmp_path / "data" / arm / task / split / "part-00000.parquet"
                file.parent.mkdir(parents=True)
                file.write_bytes(f"{arm} {task} {split}".encode())
    return tmp_path
