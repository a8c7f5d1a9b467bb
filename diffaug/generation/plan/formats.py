"""The sizes and colour modes of images."""

from collections import Counter
from collections.abc import Mapping

from diffaug.dataset.records import ImageSet, Record


def common_format(formats: Mapping[str, tuple[tuple[int, int], str]]) -> tuple[tuple[int, int], str]:
    """What images without a source are saved as: the middle (width, height) by area, the most frequent color mode."""
    sizes = sorted((size for size, _ in formats.values()), key=lambda size: (size[0] * size[1], size))
    size = sizes[(len(sizes) - 1) // 2]
    color = Counter(sorted(color for _, color in formats.values())).most_common(1)[0][0]
    return size, color


def formats_of(images: ImageSet) -> dict[str, tuple[tuple[int, int], str]]:
    """(width, height) and color mode of every image by its id."""
    return {record.id: format_of(record) for record in images}


def format_of(record: Record) -> tuple[tuple[int, int], str]:
    """(width, height) and color mode of an image."""
    image = record.open()
    return image.size, image.mode
