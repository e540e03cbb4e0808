"""Pictures to planes and back."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.runtime.colour import from_planes, to_planes

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (8, 8), (7, 16)]


def colours(height, width):
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_grey_is_its_own_plane(grey):
    (plane,) = to_planes(grey)
    np.testing.assert_array_equal(plane, grey)
    np.testing.assert_array_equal(from_planes([plane]), grey)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_chroma_has_half_the_size_rounded_up(height, width):
    luma, *chroma = to_planes(colours(height, width))
    assert luma.shape == (height, width)
    assert [plane.shape for plane in chroma] == [((height + 1) // 2, (width + 1) // 2)] * 2
    assert {plane.dtype for plane in (luma, *chroma)} == {np.dtype(np.uint8)}


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pictures_come_back_in_their_size(height, width):
    image = from_planes(to_planes(colours(height, width)))
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8


def test_grey_pixels_have_no_chroma_and_stay_within_one_level():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    luma, blue, red = to_planes(ramp)
    assert np.abs(luma.astype(int) - ramp[..., 0]).max() <= 1
    assert set(np.unique([blue, red])) == {128}
    np.testing.assert_array_equal(from_planes([luma, blue, red]), np.repeat(luma[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((255, 0, 0), (76, 85, 255)), ((0, 255, 0), (150, 44, 21)), ((0, 0, 255), (29, 255, 107))],
)
def test_primaries_are_those_of_bt_601_full_range(colour, expected):
    planes = to_planes(np.full((2, 2, 3), colour, dtype=np.uint8))
    assert (
        np.abs([int(plane.flat[0]) - value for plane, value in zip(planes, expected, strict=True)]).max() <= 1
    )


def test_a_chroma_sample_is_the_mean_of_those_it_stands_for():
    image = colours(5, 7)
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    full = 128 - 0.168736 * red - 0.331264 * green + 0.5 * blue
    expected = [[full[y : y + 2, x : x + 2].mean() for x in range(0, 7, 2)] for y in range(0, 5, 2)]
    assert np.abs(to_planes(image)[1] - np.array(expected)).max() <= 1.5


def test_flat_colours_survive():
    image = np.full((9, 9, 3), (200, 30, 90), dtype=np.uint8)
    assert np.abs(from_planes(to_planes(image)).astype(int) - image).max() <= 2


def test_a_photograph_loses_little(kodim):
    error = from_planes(to_planes(kodim)).astype(float) - kodim
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 35


def test_chroma_is_not_shifted():
    """A step in the middle of a picture stays in the middle: the two halves mirror each other."""
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:, :8], image[:, 8:] = (200, 90, 90), (90, 90, 200)
    again = from_planes(to_planes(image)).astype(int)
    assert np.abs(again[:, :, 0] - again[:, ::-1, 2]).max() <= 12
