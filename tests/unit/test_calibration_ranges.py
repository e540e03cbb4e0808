"""Histograms of magnitudes, and the thresholds made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.calibration.ranges import BINS, METHODS, Histogram
from farlook.runtime.errors import CalibrationError, UsageError


def filled(*parts):
    histogram = Histogram("x")
    for part in parts:
        histogram.add(np.asarray(part, np.float32))
    return histogram


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), min_size=1, max_size=8))
def test_growing_gives_what_knowing_the_range_beforehand_gives(parts):
    grown = filled(*parts)
    whole = filled([value for part in parts for value in part])
    assert grown.limit == whole.limit
    assert grown.largest == whole.largest == np.abs(np.concatenate(parts)).max().astype(np.float32)
    # Numbers on the border of two bins may round into either while bins are small.
    assert np.abs(np.cumsum(grown.counts) - np.cumsum(whole.counts)).max() <= len(parts)
    assert grown.counts.sum() == whole.seen


def test_memory_does_not_grow():
    histogram = Histogram("x")
    rng = np.random.default_rng(0)
    for scale in (1e-6, 1.0, 1e6):
        histogram.add(rng.normal(0, scale, 5000).astype(np.float32))
        assert histogram.counts.shape == (BINS,)


def test_absmax_is_the_largest():
    assert filled([1, -7, 3]).threshold("absmax") == 7


@pytest.mark.parametrize("method", METHODS)
def test_zeros_give_zero(method):
    assert filled(np.zeros(100)).threshold(method) == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_threshold_lies_within_what_was_seen(method):
    rng = np.random.default_rng(1)
    histogram = filled(rng.normal(size=20000))
    assert 1 < histogram.threshold(method) <= histogram.largest


@pytest.mark.parametrize("method", ["percentile", "entropy", "mse"])
def test_one_outlier_is_clipped(method):
    values = np.append(np.random.default_rng(2).normal(size=100_000), 200.0)
    assert filled(values).threshold(method) < 150


def test_a_percentile_keeps_its_share():
    values = np.arange(1, 10_001) / 100
    found = filled(values).threshold("percentile", 90)
    assert found == pytest.approx(90, rel=2 / BINS + 0.01)


def test_mse_beats_absmax_where_tails_are_long():
    values = np.random.default_rng(3).laplace(size=50_000).astype(np.float32)
    histogram = filled(values)

    def error(threshold):
        step = threshold / 127
        rounded = np.clip(np.rint(values / step), -127, 127) * step
        return np.mean((rounded - values) ** 2)

    assert error(histogram.threshold("mse")) < error(histogram.threshold("absmax"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(bad):
    with pytest.raises(CalibrationError, match="'conv_out'"):
        Histogram("conv_out").add(np.array([1, bad, 2], np.float32))


def test_unknown_methods_and_percentiles_are_refused():
    with pytest.raises(UsageError, match="absmax, percentile"):
        filled([1]).threshold("magic")
    with pytest.raises(UsageError, match="at most 100"):
        filled([1]).threshold("percentile", 101)


def test_the_smallest_numbers_are_counted():
    histogram = filled([1e-38, 5e-39, 0])
    assert histogram.counts.sum() == 3
    assert 0 < histogram.threshold("mse") <= histogram.largest
    histogram.add(np.array([3e38], np.float32))
    assert histogram.threshold("absmax") == np.float32(3e38)


def test_nothing_added_is_nothing_seen():
    histogram = filled(np.zeros((0,)))
    assert (histogram.seen, histogram.threshold("mse")) == (0, 0.0)
