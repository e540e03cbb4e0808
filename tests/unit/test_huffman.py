"""Length-limited Huffman codes: optimal, complete and within their limit."""

from __future__ import annotations

import heapq
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.kernels.huffman import code_lengths

COUNTS = st.lists(st.integers(1, 1000), min_size=2, max_size=40)
FIBONACCI = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987]


def cost(counts, lengths):
    return int(np.dot(counts, lengths.astype(np.int64)))


def kraft(lengths):
    """The sum of 2^-length, in units of 2^-32."""
    return sum(1 << 32 - int(length) for length in lengths if length)


def huffman_cost(counts):
    """Bits of an optimal code without a limit: the sum of all merged weights."""
    heap = list(counts)
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total


def test_a_textbook_code():
    """Cormen, Leiserson, Rivest and Stein: 224 bits for the letters a to f."""
    counts = np.array([45, 13, 12, 16, 9, 5])
    assert code_lengths(counts).tolist() == [1, 3, 3, 3, 4, 4]
    assert cost(counts, code_lengths(counts)) == 224


@given(COUNTS)
def test_a_loose_limit_costs_nothing(counts):
    assert cost(counts, code_lengths(np.array(counts), 40)) == huffman_cost(counts)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6), st.integers(3, 4))
def test_no_code_within_the_limit_is_shorter(counts, limit):
    best = min(
        np.dot(counts, lengths)
        for lengths in product(range(1, limit + 1), repeat=len(counts))
        if kraft(lengths) <= 1 << 32
    )
    assert cost(counts, code_lengths(np.array(counts), limit)) == best


@given(COUNTS, st.integers(6, 12))
def test_codes_are_complete_and_respect_the_limit(counts, limit):
    lengths = code_lengths(np.array(counts), limit)
    assert lengths.dtype == np.uint8
    assert lengths.min() >= 1
    assert lengths.max() <= limit
    assert kraft(lengths) == 1 << 32


@pytest.mark.parametrize("limit", [4, 5, 8, 12])
def test_the_worst_counts_stay_within_the_limit(limit):
    lengths = code_lengths(np.array(FIBONACCI), limit)
    assert lengths.max() <= limit
    assert kraft(lengths) == 1 << 32


def test_rarer_symbols_never_get_shorter_words():
    lengths = code_lengths(np.array(FIBONACCI), 8)
    assert np.all(np.diff(lengths.astype(int)) <= 0)


def test_symbols_that_do_not_occur_get_no_word():
    assert code_lengths(np.array([0.0, 3.0, 0.0, 1.0, 1.0])).tolist() == [0, 1, 0, 2, 2]


def test_a_lone_symbol_takes_one_bit():
    assert code_lengths(np.array([0.0, 7.0, 0.0])).tolist() == [0, 1, 0]


@pytest.mark.parametrize("counts", [[], [0.0], [0.0, 0.0]])
def test_without_any_symbol_there_are_no_words(counts):
    assert code_lengths(np.array(counts)).tolist() == [0] * len(counts)


def test_counts_may_be_fractions():
    assert code_lengths(np.array([0.5, 0.25, 0.125, 0.125])).tolist() == [1, 2, 3, 3]


def test_more_symbols_than_words_are_refused():
    assert code_lengths(np.ones(8), 3).tolist() == [3] * 8
    with pytest.raises(ValueError, match="9 symbols do not fit code words of 3 bits"):
        code_lengths(np.ones(9), 3)
