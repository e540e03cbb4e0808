"""block8's rate control: budgets are kept, and used where there are steps fine enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farlook.runtime.block8.job import quality_of
from farlook.runtime.block8.stream import first_header
from farlook.runtime.errors import TargetError

FLOOR = 0.97
"""Where a few hundred bytes are asked for, one step may change more than 3 % of them."""


@pytest.fixture(scope="module")
def large(kodim):
    """More units than are stored, in several slices: uint8 [1536, 1536, 3]."""
    row = np.concatenate([kodim, kodim[::-1]], axis=1)
    return np.ascontiguousarray(np.concatenate([row, row[:, ::-1], 255 - row], axis=0))


@pytest.fixture(scope="module")
def uneven(large):
    """Its lower half is nearly flat: what the upper half took cannot be spent there."""
    image = large.copy()
    image[700:] = 90 + image[700:] // 64
    return image


@pytest.mark.parametrize("budget", [300, 500, 1000, 3000, 10_000, 30_000, 100_000, 200_000])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_budgets_are_kept_and_used(block8, kodim, grey, budget, channels):
    stream = block8.encode(kodim if channels == "rgb" else grey, budget=budget)
    assert FLOOR * budget <= len(stream) <= budget


@given(st.integers(1, 180), st.integers(1, 180), st.integers(100, 20_000), st.sampled_from([64, 300, 1024]))
@settings(max_examples=25)
def test_no_budget_is_exceeded(block8, kodim, height, width, budget, mtu):
    image = kodim[150 : 150 + height, 200 : 200 + width]
    try:
        stream = block8.encode(image, budget=budget, mtu=mtu)
    except TargetError:
        assert len(block8.encode(image, budget=1 << 20, mtu=mtu)) > budget
        return
    assert len(stream) <= budget
    assert block8.decode(stream).shape == image.shape


@given(st.integers(2500, 400_000))
@settings(max_examples=8)
def test_no_budget_of_a_large_picture_is_exceeded(block8, large, budget):
    assert FLOOR * budget <= len(block8.encode(large, budget=budget)) <= budget


@pytest.mark.parametrize("budget", [3000, 20_000, 100_000])
def test_large_pictures_with_little_in_one_half(block8, uneven, budget):
    for image in (uneven, uneven[::-1]):
        stream = block8.encode(image, budget=budget)
        assert FLOOR * budget <= len(stream) <= budget
    assert block8.encode(uneven, budget=budget, threads=1) == block8.encode(uneven, budget=budget, threads=5)


@pytest.mark.parametrize("size", [(64, 64), (1536, 1536)], ids=["small", "large"])
def test_a_budget_below_every_size_says_what_would_fit(block8, large, size):
    image = large[: size[0], : size[1]]
    with pytest.raises(TargetError, match="bytes at least, more than the 20 asked for") as caught:
        block8.encode(image, budget=20)
    least = int(str(caught.value).split(" bytes")[0].split()[-1])
    assert len(block8.encode(image, budget=least)) <= least
    with pytest.raises(TargetError):
        block8.encode(image, budget=least - 2)


def test_a_loose_budget_takes_the_finest_step(block8, grey):
    assert first_header(block8.encode(grey[:64, :64], budget=1 << 20)).step == 0


def test_a_flat_picture_needs_no_budget(block8):
    image = np.full((100, 100), 77, np.uint8)
    assert len(block8.encode(image, budget=1000)) < 40


def test_more_bytes_show_more(block8, kodim):
    errors = [
        np.mean((block8.decode(block8.encode(kodim, budget=budget)).astype(float) - kodim) ** 2)
        for budget in (400, 2000, 10_000, 50_000)
    ]
    assert errors == sorted(errors, reverse=True)


def test_bits_a_pixel_and_the_same_budget_give_the_same_stream(block8, grey):
    crop = grey[:128, :256]
    assert block8.encode(crop, bpp=0.25) == block8.encode(crop, budget=1024)


def test_a_budget_works_with_regions_and_other_options(block8, kodim):
    stream = block8.encode(kodim, budget=9000, roi=[(300, 200, 100, 100)], mtu=200)
    assert FLOOR * 9000 <= len(stream) <= 9000
    assert first_header(stream).has_finer


def test_a_gap_between_two_steps_is_filled_by_finer_units(block8, kodim):
    """Every budget in a row of small ones is used, though one step changes the size by more than 3 %."""
    crop = kodim[100:228, 300:428]
    for budget in range(200, 300, 7):
        assert len(block8.encode(crop, budget=budget)) >= 0.955 * budget


def test_most_of_a_budget_is_one_quality(block8, large):
    stream = block8.encode(large, budget=60_000)
    quality = quality_of(first_header(stream).step)
    assert abs(len(block8.encode(large, quality=quality)) / 60_000 - 1) < 0.1
