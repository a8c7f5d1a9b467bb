"""The size and the colour mode for images without a source."""

from collections import Counter

from diffaug.dataset.records import ImageSet


def common_format(images: ImageSet) -> tuple[tuple[int, int], str]:
    """(width, height) of the image with the median area, and the most frequent colour mode, of a non-empty set."""
    sizes = sorted((record.size for record in images), key=lambda size: (size[0] * size[1], size))
    colors = Counter(sorted(record.color for record in images))
    return sizes[(len(sizes) - 1) // 2], colors.most_common(1)[0][0]
