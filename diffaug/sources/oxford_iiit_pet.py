"""Oxford-IIIT Pet (Parkhi et al. 2012, CC BY-SA 4.0): the heads of cats and dogs, as boxes."""

from pathlib import Path

from diffaug.params.download import OxfordPetBoxes
from diffaug.runtime.errors import UserError
from diffaug.sources.faults import Fault, Kind
from diffaug.sources.image_files import files_below, is_image
from diffaug.sources.labelled import Labelled
from diffaug.sources.pairs import pair_up, split_by_folders
from diffaug.sources.placing import to_real_data
from diffaug.sources.published import SETS, open_parts
from diffaug.sources.real import Inputs, RealData
from diffaug.sources.voc import read_pairs

_NAME = "oxford_iiit_pet"


def read_det(source: OxfordPetBoxes, inputs: Inputs) -> RealData:
    """The photographs with boxes. Raises UserError if torchvision cannot download the files."""
    return to_real_data(oxford_pets(inputs.work), source, inputs.seed, inputs.strict, known)


def oxford_pets(cache: Path) -> Labelled:
    """The images that have an XML file of boxes, all in train, since the set has no splits for them.

    Raises UserError if torchvision cannot download the files.
    """
    open_parts(SETS[_NAME], _NAME, cache)
    root = cache / "torchvision" / _NAME / "oxford-iiit-pet"
    faults: list[Fault] = []
    images = [path for path in files_below(root / "images", faults) if is_image(path)]
    pages = [path for path in files_below(root / "annotations" / "xmls", faults) if path.suffix == ".xml"]
    pairs = split_by_folders(pair_up(images, pages, root), root)
    boxed = [pair for pair in pairs if pair.label is not None]
    if not boxed:
        raise UserError(f"{root / 'annotations' / 'xmls'}: has no XML file; remove {root.parent} and run again")
    print(f"download.det: {len(pairs) - len(boxed)} images of {_NAME} have no boxes, and are left out")
    return read_pairs(root, boxed, None)


def known(fault: Fault) -> bool:
    """Whether the fault is in the published files: some photographs occur twice."""
    return fault.kind is Kind.SHARED
