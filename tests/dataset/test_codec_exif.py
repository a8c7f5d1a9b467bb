import io
import struct

import pytest
from PIL import Image

from diffaug.dataset.codec import canonical, decode


def exif(tag: int, kind: int, count: int, value: bytes) -> bytes:
    """EXIF with orientation 6 (a quarter turn clockwise) and one more entry, of a wrong type for its tag."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI", tag, kind, count) + value
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + struct.pack("<I", 0)


@pytest.mark.parametrize("tag", [0x0100, 0x0102, 0x011A], ids=["ImageWidth", "BitsPerSample", "XResolution"])
def test_text_where_exif_has_numbers_does_not_stop_a_whole_photograph(tag: int) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif(tag, 2, 3, b"ab\0\0"))
    assert decode(canonical(buffer.getvalue(), "a.jpg"), "a.jpg").size == (4, 8)
