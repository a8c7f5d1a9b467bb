"""The image table: every image set, real or synthetic, as Parquet files with Hugging Face `datasets` features."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as PilImage

from diffaug.dataset.codec import decode, size_and_mode
from diffaug.dataset.provenance import Lineage
from diffaug.runtime.errors import UserError
from diffaug.runtime.files import atomic_path
from diffaug.runtime.seals import check_seal, seal

if TYPE_CHECKING:  # it takes seconds to import, and records need not be written
    from datasets import Features

SHARD_ROWS = 1000
_ROW_GROUP = 100
SPLITS = ("train", "val", "test")
_ABOUT = b"diffaug"  # the key in the metadata of a Parquet file


@dataclass(frozen=True, kw_only=True)
class Record(Lineage):
    """One image and its data.

    image: encoded bytes (PNG or JPEG); sha256: of these bytes. label: class of a classification image, otherwise None.
    bbox: boxes as (x, y, width, height) in pixels from the top left; category: their class numbers. origin: real or
    synthetic. added_by: the recipe with which merge added the row; None for other rows. settings: for a synthetic
    image, the JSON text of all in `Provenance` that has no column of its own.
    """

    id: str
    image: bytes = field(repr=False)
    sha256: str
    split: str
    label: int | None = None
    bbox: tuple[tuple[float, float, float, float], ...] = ()
    category: tuple[int, ...] = ()
    origin: str = "real"
    added_by: str | None = None
    settings: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, from the header of the stored bytes."""
        return size_and_mode(self.image)[0]

    @property
    def color(self) -> str:
        """The colour mode, "L" or "RGB", from the header of the stored bytes."""
        return size_and_mode(self.image)[1]

    def open(self) -> PilImage.Image:
        """The decoded image, "L" or "RGB"."""
        return decode(self.image, self.id)


def make_record(id: str, data: bytes, split: str, **columns: Any) -> Record:
    """A record of an encoded image, with its hash."""
    return Record(id=id, image=data, sha256=hashlib.sha256(data).hexdigest(), split=split, **columns)


@dataclass(frozen=True)
class ImageSet:
    """Class names and records, sorted by id. A task that is switched off has neither. about: metadata of the whole set,
    such as how merge made it."""

    names: tuple[str, ...]
    records: tuple[Record, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)


def features(names: Sequence[str]) -> "Features":
    """The columns of the table, for these class names."""
    from datasets import ClassLabel, Features, Image, List, Value

    label = ClassLabel(names=list(names)) if names else Value("int64")
    provenance = {
        column: Value({"str": "string", "int": "int64", "float": "float64", "bool": "bool"}[_plain(column)])
        for column in _HOW_MADE
    }
    return Features(
        {
            "id": Value("string"),
            "image": Image(),
            "sha256": Value("string"),
            "split": Value("string"),
            "label": label,
            "objects": {"bbox": List(List(Value("float32"), length=4)), "category": List(label)},
            "origin": Value("string"),
            **provenance,
        }
    )


_HOW_MADE = ["added_by", *(item.name for item in fields(Lineage)), "settings"]


def _plain(column: str) -> str:
    annotation = next(item.type for item in fields(Record) if item.name == column)
    return str(annotation).split(" ")[0]


def write_set(
    folder: Path,
    names: Sequence[str],
    records: Iterable[Record],
    shard: Callable[[Record], str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write the set as `part-*.parquet`, the same bytes for the same records.

    Shards hold fixed ranges: the n-th thousand of the rows sorted by id or, if `shard` is given, the part that it names
    for each record; so a larger set appends files and rewrites none. about: metadata of the set, kept as JSON in the
    metadata of every file.
    Raises UserError if two records have the same id.
    """
    rows = sorted(records, key=lambda record: record.id)
    for before, after in itertools.pairwise(rows):
        if before.id == after.id:
            raise UserError(f"{folder}: two images have the id {after.id!r}; ids must differ")
    parts: dict[str, list[Record]] = {} if rows else {"00000": []}
    for number, record in enumerate(rows):
        parts.setdefault(shard(record) if shard else f"{number // SHARD_ROWS:05d}", []).append(record)
    write_shards(folder, names, parts.items(), about)


def write_shards(
    folder: Path,
    names: Sequence[str],
    shards: Iterable[tuple[str, Iterable[Record]]],
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write `part-NAME.parquet` for every shard and its records, which are taken one by one: a set of any size needs
    only the memory of a hundred images. Other files of the folder are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = features(names).arrow_schema
    if about:
        schema = schema.with_metadata(schema.metadata | {_ABOUT: json.dumps(about, sort_keys=True).encode()})
    written = set()
    for part, records in shards:
        path = folder / f"part-{part}.parquet"
        with (
            atomic_path(path) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            remaining = iter(records)
            while rows := [_row(record) for record in itertools.islice(remaining, _ROW_GROUP)]:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        written.add(path)
    for stale in set(folder.iterdir()) - written:
        stale.unlink()
    seal(folder)


def _row(record: Record) -> dict[str, Any]:
    row = asdict(record)
    row["image"] = {"bytes": record.image, "path": record.id}
    row["objects"] = {"bbox": row.pop("bbox"), "category": row.pop("category")}
    return row


def read_set(folder: Path) -> ImageSet:
    """The set, sorted by id, its files checked against the folder's seal and every image against its hash.

    Raises UserError if the folder has no table, a file or an image is damaged, a row is in another split's folder, or a
    synthetic row is outside train.
    """
    from datasets import ClassLabel, Features

    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise UserError(f"{folder}: no part-*.parquet found; run `dvc repro` or `dvc pull` first")
    check_seal(folder)
    records: list[Record] = []
    names: tuple[str, ...] = ()
    about: dict[str, Any] = {}
    for file in files:
        try:
            table = pq.read_table(file, page_checksum_verification=True)
            label = Features.from_arrow_schema(table.schema)["label"]
            about = json.loads((table.schema.metadata or {}).get(_ABOUT, "{}"))
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{file}: not a table of diffaug ({str(error).partition(chr(10))[0]}); run `dvc repro`"
            ) from None
        names = tuple(label.names) if isinstance(label, ClassLabel) else ()
        records += [_record(row, file) for row in table.to_pylist()]
    return ImageSet(names, tuple(sorted(records, key=lambda record: record.id)), about)


def _record(row: dict[str, Any], file: Path) -> Record:
    data = row.pop("image")["bytes"]
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise UserError(f"{file}: image {row['id']!r} does not match its sha256; run `dvc repro`")
    objects = row.pop("objects")
    expected = file.parent.name if file.parent.name in SPLITS else row["split"]
    if row["split"] != expected or (row["origin"] != "real" and row["split"] != "train"):
        raise UserError(
            f"{file}: image {row['id']!r} is {row['origin']}, of split {row['split']}: only images of the folder's own "
            "split belong here, and synthetic ones only in train; run `dvc checkout`"
        )
    boxes = tuple(tuple(box) for box in objects["bbox"])
    return Record(image=data, bbox=boxes, category=tuple(objects["category"]), **row)
