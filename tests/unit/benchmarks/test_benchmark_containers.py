"""What of a file is its container."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, features

from farlook.benchmarks.containers import container_bytes


def saved(image, kind, **options):
    out = BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def test_webp_has_a_header_of_20_bytes(kodim):
    data = saved(kodim[:64, :64], "WEBP", quality=40)
    size = int.from_bytes(data[16:20], "little")
    assert container_bytes(data) == len(data) - size
    assert container_bytes(data) in (20, 21), "with the byte that evens the chunk"


def test_an_extended_webp_has_more(kodim):
    plain, extended = (saved(kodim[:64, :64], "WEBP", quality=40, exif=exif) for exif in (b"", bytes(100)))
    assert len(extended) - container_bytes(extended) == len(plain) - container_bytes(plain)
    assert container_bytes(extended) > container_bytes(plain) + 100


@pytest.mark.skipif(not features.check("avif"), reason="pillow has no AVIF")
def test_avif_s_boxes_do_not_grow_with_the_picture(kodim):
    sizes = []
    for quality in (10, 90):
        data = saved(kodim[:128, :128], "AVIF", quality=quality)
        sizes.append(container_bytes(data))
        assert data.count(b"mdat") == 1
        assert len(data) - sizes[-1] == len(data) - data.index(b"mdat") - 4, (
            "libavif writes the box of samples last"
        )
    assert sizes[0] == sizes[1]
    assert 100 < sizes[0] < 500


def test_boxes_with_long_sizes_and_to_the_end():
    brand = b"\0\0\0\x0cftypavif"
    long = b"\0\0\0\1mdat" + (21).to_bytes(8, "big") + b"12345"
    assert container_bytes(brand + long) == 12 + 16
    assert container_bytes(brand + b"\0\0\0\0mdat123") == 12 + 8


@pytest.mark.parametrize(
    "end", [b"\0\0\0\0", b"\0\0\0\3mdat", b"\0\0\0\xffmdat12", b"\0\0\0\1mdat" + bytes(8)]
)
def test_damaged_boxes_end_the_search(end):
    data = b"\0\0\0\x0cftypavif" + end
    assert 0 <= container_bytes(data) <= len(data)


@pytest.mark.parametrize("data", [b"", b"RIFF", bytes(40), b"\xff\xd8\xff\xe0" + bytes(40)])
def test_codestreams_have_none(data):
    assert container_bytes(np.frombuffer(data, np.uint8).tobytes()) == 0
