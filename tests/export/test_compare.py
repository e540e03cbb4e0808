"""When two arrays agree."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.export.compare import compare

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("want", "got", "largest", "within"),
    [
        ([0.0, 1.0], [0.0, 1.00009], 9e-5, True),
        ([0.0, 1.0], [0.0, 1.0002], 2e-4, False),
        ([0.0, 100.0], [0.009, 100.0], 9e-3, True),
        ([0.0, -100.0], [0.02, -100.0], 2e-2, False),
        ([INF, 1.0], [INF, 1.0], 0.0, True),
        ([INF, 1.0], [-INF, 1.0], INF, False),
        ([INF, 1.0], [INF, 2.0], 1.0, False),
        ([1.0], [NAN], NAN, False),
        ([NAN], [NAN], NAN, False),
        ([], [], 0.0, True),
    ],
)
def test_floats_agree_up_to_the_tolerance(want, got, largest, within):
    difference = compare(np.array(want), np.array(got), 1e-4)
    assert difference.largest == pytest.approx(largest, nan_ok=True)
    assert difference.within is within


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_integers_have_to_be_equal(dtype):
    large = np.array([200, 100], dtype)
    assert compare(large, large.copy(), 1e-4).within
    assert not compare(large, large + np.array([0, 1], dtype), 1.0).within


def test_booleans_have_to_be_equal():
    assert not compare(np.array([True, False]), np.array([True, True]), 1.0).within


@pytest.mark.parametrize(
    "got", [np.zeros((2, 3), np.float16), np.zeros((3, 2), np.float32), np.zeros(6, np.float32)]
)
def test_another_dtype_or_shape_is_no_agreement(got):
    difference = compare(np.zeros((2, 3), np.float32), got, 1e9)
    assert not difference.within
    assert "where torch gives float32 (2, 3)" in difference.text
