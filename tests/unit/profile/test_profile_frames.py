"""Sizes by name, and pictures made to fit."""

import numpy as np
import pytest

from farlook.runtime.errors import UsageError
from farlook.runtime.profile.frames import SIZES, fit, parse_size


def test_sizes_by_name_and_in_pixels():
    assert parse_size("1080p") == (1920, 1080)
    assert parse_size("4K") == (3840, 2160)
    assert parse_size("17x9") == (17, 9)
    assert all(parse_size(name) == size for name, size in SIZES.items())


@pytest.mark.parametrize("text", ["", "big", "0x5", "5x", "1920*1080", "20000x10", "-3x4", "1e3x4"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError):
        parse_size(text)


def test_a_smaller_picture_is_cut():
    image = np.arange(48).reshape(6, 8)
    assert np.array_equal(fit(image, 3, 2), image[:2, :3])


def test_a_larger_picture_goes_on_as_its_mirror_image():
    image = np.array([[1, 2, 3]])
    assert fit(image, 8, 1).tolist() == [[1, 2, 3, 3, 2, 1, 1, 2]]
    assert fit(image[..., None].repeat(3, 2), 4, 3).shape == (3, 4, 3)
    assert fit(image, 8, 3).flags.c_contiguous
