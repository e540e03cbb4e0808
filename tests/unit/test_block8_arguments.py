"""What block8's encoder refuses before any work."""

import numpy as np
import pytest

from farlook.runtime.block8.arguments import check_depth, check_mtu, geometry_of, geometry_of_sides, writable
from farlook.runtime.errors import ImageError, UsageError


@pytest.mark.parametrize("mtu", [64, 1024, np.int32(200), 16384])
def test_a_packet_size_in_its_range_is_taken(mtu):
    assert check_mtu(mtu) == mtu
    assert type(check_mtu(mtu)) is int


@pytest.mark.parametrize("mtu", [63, 16385, 1024.0, "1024", None])
def test_another_is_refused(mtu):
    with pytest.raises(UsageError, match="mtu must be a whole number of bytes from 64 to 16384"):
        check_mtu(mtu)


def test_depths_belong_to_types():
    assert check_depth(np.dtype(np.uint8), None) == check_depth(np.dtype(np.uint8), 8) == 8
    assert (check_depth(np.dtype(np.uint16), None), check_depth(np.dtype(np.uint16), 12)) == (16, 12)
    with pytest.raises(UsageError, match="12 is for uint16"):
        check_depth(np.dtype(np.uint8), 12)
    for depth in (8, 17):
        with pytest.raises(UsageError, match="from 9 to 16"):
            check_depth(np.dtype(np.uint16), depth)


def test_samples_must_fit_their_depth():
    image = np.full((3, 5), 1023, np.uint16)
    geometry = geometry_of(image, 10)
    assert (geometry.width, geometry.height, geometry.bands, geometry.depth) == (5, 3, 1, 10)
    with pytest.raises(ImageError, match="9 bits end at 511"):
        geometry_of(image, 9)


@pytest.mark.parametrize(
    "given", [(0, 1, 1, 8), (1, 16385, 1, 8), (1, 1, 2, 8), (1, 1, 3, 17), (1.0, 1, 1, 8)]
)
def test_a_picture_to_come_has_sides_bands_and_bits(given):
    assert geometry_of_sides(16384, 1, 3, 16).bands == 3
    with pytest.raises(UsageError, match="sides of 1 to 16384, 1 or 3 bands and 8 to 16 bits"):
        geometry_of_sides(*given)


def test_a_buffer_must_be_writable():
    assert len(writable(np.zeros((2, 3), np.uint16))) == 12
    with pytest.raises(UsageError, match="read-only"):
        writable(b"123")
    with pytest.raises(UsageError, match="cannot write a stream into int"):
        writable(3)
