"""Percentiles are times that were measured, and no sample is left out."""

import pytest

from farlook.runtime.profile.statistics import Statistics, percentile


def test_nearest_rank_percentiles_of_a_hundred():
    row = Statistics.of([float(number) for number in range(1, 101)])
    assert (row.p50, row.p90, row.p95, row.p99, row.maximum) == (50, 90, 95, 99, 100)
    assert (row.count, row.mean, row.minimum) == (100, 50.5, 1)


def test_one_slow_frame_is_kept():
    row = Statistics.of([1.0] * 19 + [100.0])
    assert row.maximum == row.p99 == 100.0
    assert row.p95 == 1.0
    assert row.mean == pytest.approx(5.95)


def test_jitter_is_the_mean_step_from_frame_to_frame():
    assert Statistics.of([1.0, 3.0, 3.0, 2.0]).jitter == pytest.approx(1.0)
    assert Statistics.of([5.0]).jitter == 0.0


def test_order_does_not_change_percentiles_but_jitter():
    there, mixed = Statistics.of([1.0, 2.0, 3.0, 4.0]), Statistics.of([1.0, 4.0, 2.0, 3.0])
    assert there.p90 == mixed.p90
    assert there.jitter < mixed.jitter


def test_no_samples():
    with pytest.raises(ValueError, match="no samples"):
        Statistics.of([])


def test_percentile_of_few():
    assert percentile([1.0, 2.0, 3.0], 99) == 3.0
