"""The size and the colour mode of images that have no source."""

from collections import Counter

from diffaug.dataset.records import ImageSet


def common_format(images: ImageSet) -> tuple[tuple[int, int], str]:
    """(width, height) in the middle by area, and the most frequent colour mode, of a set that is not empty."""
    sizes = sorted((record.size for record in images), key=lambda size: (size[0] * size[1], size))
    colors = Counter(sorted(record.color for record in images))
    return sizes[(len(sizes) - 1) // 2], colors.most_common(1)[0][0]
