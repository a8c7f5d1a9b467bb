import pytest
from PIL import Image, ImageDraw
from settings import params

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import ImageSet, Record, make_record
from diffaug.generation.plan.objects import cut_real, free_objects, objects_to_paste
from diffaug.params.generate import Paste
from diffaug.runtime.errors import UserError
from diffaug.segmenting.objects import Objects

BOXES = ((5.0, 5.0, 14.0, 14.0), (40.0, 20.0, 14.0, 14.0), (44.0, 20.0, 14.0, 14.0), (70.0, 30.0, 16.0, 12.0))


def photo(*drawn: int) -> Record:
    """Four labelled cats; only the numbers in `drawn` are visible; the second and the third overlap."""
    image = Image.new("RGB", (100, 60), "navy")
    for x, y, width, height in (BOXES[number] for number in drawn):
        ImageDraw.Draw(image).ellipse((x, y, x + width - 1, y + height - 1), "yellow")
    return make_record("s0", encode_png(image), "train", bbox=BOXES, category=(0,) * 4)


def paste(items_per_class: int) -> Paste:
    mode = {"weight": 1, "objects": "train", "items_per_class": items_per_class, "max_objects": 3, "scale": [1.0, 1.0]}
    mode |= {"max_overlap": 0.1, "min_visible": 1.0, "min_labelled": 0.5, "feather": 0}
    given = params(det={"per_real": 1.0, "modes": {"paste": mode}}).det.modes.paste
    assert given is not None
    return given


def test_an_object_that_another_covers_is_not_free() -> None:
    assert free_objects(photo()) == [0, 3]


def test_an_object_is_cut_along_its_outline() -> None:
    cut = cut_real(photo(0, 3), 3, ("cat",), Objects())
    assert cut is not None and cut.size == (16, 12)
    assert cut.getpixel((8, 6)) == (255, 255, 0, 255) and cut.getchannel("A").getpixel((0, 0)) == 0


def test_what_looks_like_its_surroundings_is_not_planned() -> None:
    """The first object's box is empty: a listed object that cannot be cut out would not change its scene."""
    record = photo(3)
    assert cut_real(record, 0, ("cat",), Objects()) is None
    assert objects_to_paste(paste(1), ImageSet(("cat",), (record,)), [], Objects()) == [["s0#3"]]
    assert objects_to_paste(paste(9), ImageSet(("cat",), (photo(0, 3),)), [], Objects()) == [["s0#0", "s0#3"]]


def test_a_class_of_which_nothing_can_be_cut_is_an_error() -> None:
    with pytest.raises(UserError, match="no object of cat in train can be cut out: each is covered by others, or has"):
        objects_to_paste(paste(1), ImageSet(("cat",), (photo(),)), [], Objects())
