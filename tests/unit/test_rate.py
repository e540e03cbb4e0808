"""Rate control on size functions that are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.errors import TargetError
from farlook.runtime.rate import HIGHEST, LOWEST, finest_within

QUALITIES = range(LOWEST, HIGHEST + 1)


def steady(quality):
    """Every quality is 3 % larger than the one before."""
    return int(1000 * 1.03**quality)


@st.composite
def rippling(draw):
    """`steady`, with ripples of up to 4 %."""
    ripples = draw(st.lists(st.floats(0.98, 1.02), min_size=HIGHEST, max_size=HIGHEST))
    return [int(steady(quality) * ripple) for quality, ripple in zip(QUALITIES, ripples, strict=True)]


@given(st.integers(steady(LOWEST), 25000))
def test_the_finest_quality_is_found_where_sizes_grow(budget):
    best = max(quality for quality in QUALITIES if steady(quality) <= budget)
    assert finest_within(budget, steady) == best


@given(rippling(), st.integers(1100, 25000))
def test_ripples_never_break_the_budget_and_cost_little_of_it(sizes, budget):
    quality = finest_within(budget, lambda quality: sizes[quality - 1])
    assert sizes[quality - 1] <= budget
    assert sizes[quality - 1] >= 0.9 * max(size for size in sizes if size <= budget)


@given(st.lists(st.integers(1, 50), min_size=HIGHEST, max_size=HIGHEST), st.integers(1, 50))
def test_any_sizes_at_all_never_break_the_budget(sizes, budget):
    try:
        quality = finest_within(budget, lambda quality: sizes[quality - 1])
    except TargetError:
        assert sizes[0] > budget
    else:
        assert sizes[quality - 1] <= budget


def test_a_loose_budget_takes_the_highest_quality():
    assert finest_within(10**9, steady) == HIGHEST


def test_of_equal_sizes_the_highest_quality_is_taken():
    assert finest_within(100, lambda _: 100) == HIGHEST


def test_a_budget_that_just_fits_the_lowest_quality_takes_it():
    assert finest_within(steady(LOWEST), steady) == LOWEST


def test_a_budget_below_every_size_says_what_would_fit():
    with pytest.raises(TargetError, match=rf"{steady(LOWEST)} bytes.*{steady(LOWEST) - 1}"):
        finest_within(steady(LOWEST) - 1, steady)


@pytest.mark.parametrize("budget", [1030, 2000, 5000, 10**6])
def test_few_sizes_are_asked_for_and_none_twice(budget):
    asked = []

    def size_at(quality):
        asked.append(quality)
        return steady(quality)

    finest_within(budget, size_at)
    assert len(asked) == len(set(asked)) <= 12
    assert set(asked) <= set(QUALITIES)
