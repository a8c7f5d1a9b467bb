"""Classification images cut out of the detection images by their boxes."""

from collections.abc import Iterator

import numpy as np

from diffaug.dataset.codec import encode_png
from diffaug.dataset.records import Record, make_record
from diffaug.params.download import Crops
from diffaug.pictures.hashing import pixel_hash
from diffaug.pictures.squares import square
from diffaug.sources.faults import Dropped, Fault, Kind, settle
from diffaug.sources.real import Inputs, RealData, copies

_Cut = tuple[Record, int]


def read_cls(params: Crops, inputs: Inputs) -> RealData:
    """A square around each box, `context` times its longer side, shifted into the image; splits as in det.

    Boxes with a side below `min_side` pixels are left out. Of the others, `per_class` per class and split are drawn.
    If crops of two splits have the same pixels, copies are dropped, from train before val before test. All that is left
    out is printed.
    """
    chosen: list[tuple[Record, str]] = []
    for number, (split, records) in enumerate(inputs.other.splits.items()):
        cuts = list(_large_enough(records, params.min_side))
        small = sum(len(record.bbox) for record in records) - len(cuts)
        if small:
            print(f"download.cls: left out {small} boxes of {split} with a side below {params.min_side} pixels")
        for record, index in _chosen(cuts, params, np.random.default_rng([inputs.seed, number])):
            whole = record.open()
            image = whole.crop(square(record.bbox[index], whole.size, params.context))
            label = record.category[index]
            crop = make_record(f"{record.id}/{index:03d}", encode_png(image), split, label=label)
            chosen.append((crop, pixel_hash(image)))
    shared = copies([(record.split, record.id, pixels) for record, pixels in chosen])
    dropped = settle([Fault(Kind.SHARED, text) for text in shared.values()], strict=False, where="download.cls")
    kept = [record for index, (record, _) in enumerate(chosen) if index not in shared]
    splits = {split: tuple(record for record in kept if record.split == split) for split in inputs.other.splits}
    return RealData(inputs.other.names, splits, Dropped(images=dropped.images))


def _large_enough(records: tuple[Record, ...], min_side: int) -> Iterator[_Cut]:
    for record in records:
        for index, (_, _, width, height) in enumerate(record.bbox):
            if min(width, height) >= min_side:
                yield record, index


def _chosen(cuts: list[_Cut], params: Crops, generator: np.random.Generator) -> list[_Cut]:
    """At most `per_class` of each class, in the order of the images, so that each image is opened only once."""
    if params.per_class is None:
        return cuts
    kept = []
    for label in sorted({record.category[index] for record, index in cuts}):
        members = [place for place, (record, index) in enumerate(cuts) if record.category[index] == label]
        kept += generator.permutation(members)[: params.per_class].tolist()
    return [cuts[place] for place in sorted(kept)]
