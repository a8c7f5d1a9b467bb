import numpy as np
from PIL import Image

from diffaug.sources.alike import alike, look


def test_frames_that_all_look_alike_are_joined_by_few_pairs() -> None:
    """All 79,800 pairs of 400 frames would be as much work as four million of 3,000."""
    photograph = Image.fromarray(np.random.default_rng(1).integers(256, size=(40, 48, 3), dtype=np.uint8))
    frames = []
    for number in range(400):
        image = photograph.copy()
        image.putpixel((number % 48, number // 48), (0, 0, 0))
        frames.append(look(image))
    pairs = list(alike([None, *frames]))
    assert len(pairs) < 400 * 20 * 9 and pairs == sorted(set(pairs))
    joined = {1}
    for one, other in pairs:
        if one in joined:
            joined.add(other)
    assert joined == set(range(1, 401))
