"""BCCD: blood cells with boxes (github.com/Shenggan/BCCD_Dataset, MIT licence), downloaded at a pinned commit."""

import hashlib
import shutil
import tarfile
from pathlib import Path

from diffaug.hub.downloads import download
from diffaug.params.download import Bccd
from diffaug.runtime.errors import UserError
from diffaug.sources.contents import contents
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.placing import to_real_data
from diffaug.sources.real import Inputs, RealData
from diffaug.sources.voc import read_voc

URL = "https://github.com/Shenggan/BCCD_Dataset/archive/d272fb14cdff6e473fafeeeba32aba5f560e9e43.tar.gz"
# Hash of the sorted lines "path NUL sha256 LF" of the folder's files.
TREE_SHA256 = "8cc74636cd78884c0a446b82b11af676615302777d52ae4955c3bf9aa972bb98"
BYTES = 8_000_000  # of the archive, about; GitHub does not state it
_PARTS = ("Annotations", "ImageSets", "JPEGImages", "LICENSE")
_EMPTY_BOXES = ("BloodImage_00338.xml", "BloodImage_00343.xml")
_MAX_BYTES = 200 * 2**20  # of the unpacked archive


def read_det(source: Bccd, inputs: Inputs) -> RealData:
    """The set's own train, val and test: 364 photographs of 640 x 480 pixels, classes Platelets, RBC and WBC."""
    return to_real_data(read_voc(contents(fetch(inputs.work / "bccd")), None), None, inputs.seed, inputs.strict, known)


def known(fault: Fault) -> bool:
    """Whether the fault is one of the two boxes without area in the published files."""
    return fault.kind is Kind.EMPTY and any(name in fault.text for name in _EMPTY_BOXES)


def fetch(folder: Path) -> Path:
    """The folder with the checked files, downloaded if missing.

    Raises UserError if they cannot be downloaded, or if their hash is not the expected one.
    """
    if not folder.exists():
        staging, archive = (folder.with_name(f"{folder.name}.{end}") for end in ("partial", "tar.gz"))
        shutil.rmtree(staging, ignore_errors=True)
        advice = f"connect to the internet, or put its folder BCCD, with LICENSE in it, at {folder}"
        try:
            download(URL, archive, "download.det", advice)
            _unpack(archive, staging)
            _check(staging / "found", "they were removed; run again")
            (staging / "found").replace(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            archive.unlink(missing_ok=True)
    _check(folder, f"remove {folder} and run again")
    return folder


def tree_sha256(folder: Path) -> str:
    """SHA-256 of the sorted lines "path NUL sha256 LF" of the kept files."""
    files = [path for part in _PARTS for path in [folder / part, *(folder / part).rglob("*")] if path.is_file()]
    lines = [
        f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files
    ]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _check(folder: Path, advice: str) -> None:
    found = tree_sha256(folder)
    if found != TREE_SHA256:
        raise UserError(
            f"download.det: the files of BCCD have the SHA-256 {found[:12]}..., expected {TREE_SHA256[:12]}...; "
            + advice
        )


def _unpack(archive: Path, staging: Path) -> None:
    """Unpack the needed parts to staging/found. Raises UserError if a file would be written elsewhere."""
    if not hasattr(tarfile, "data_filter"):
        raise UserError("download.det: unpacking BCCD safely needs Python 3.11.4 or newer")
    try:
        with tarfile.open(archive, "r:gz") as files:
            members = files.getmembers()
            if sum(member.size for member in members) > _MAX_BYTES:
                raise UserError(f"download.det: {URL} unpacks to more than {_MAX_BYTES} bytes; it is not BCCD")
            files.extractall(staging / "all", filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"download.det: {URL} cannot be unpacked safely ({error}); run again") from None
    top = next((path.parent for path in sorted((staging / "all").glob("*/BCCD"))), staging / "all")
    (staging / "found").mkdir()
    for part in _PARTS:
        place = top / part if part == "LICENSE" else top / "BCCD" / part
        if not place.exists():
            raise UserError(f"download.det: {URL} has no {part}; it is not BCCD")
        place.replace(staging / "found" / part)
