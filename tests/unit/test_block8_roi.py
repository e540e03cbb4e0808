"""Regions of interest."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.kernels.block8 import Geometry
from farlook.runtime.block8.roi import finer_map
from farlook.runtime.errors import UsageError

GEOMETRY = Geometry(200, 100, 3, 8)  # 7 x 4 units


def test_units_that_a_region_touches_are_finer():
    finer = finer_map(GEOMETRY, [(40, 10, 30, 30)]).reshape(4, 7)
    expected = np.zeros((4, 7))
    expected[:2, 1:3] = 64
    np.testing.assert_array_equal(finer, expected)
    assert finer.dtype == np.uint8


@pytest.mark.parametrize(
    ("region", "rows", "columns"),
    [
        ((32, 32, 32, 32), slice(1, 2), slice(1, 2)),
        ((31, 31, 1, 1), slice(0, 1), slice(0, 1)),
        ((31, 31, 2, 2), slice(0, 2), slice(0, 2)),
        ((190, 90, 9000, 9000), slice(2, 4), slice(5, 7)),
        ((0, 0, 200, 100), slice(0, 4), slice(0, 7)),
    ],
)
def test_regions_end_where_they_end(region, rows, columns):
    expected = np.zeros((4, 7), bool)
    expected[rows, columns] = True
    np.testing.assert_array_equal(finer_map(GEOMETRY, [region]).reshape(4, 7) > 0, expected)


@pytest.mark.parametrize(("weight", "indices"), [(2, 32), (4, 64), (8.0, 96), (16, 128), (200, 245)])
def test_weights_are_octaves(weight, indices):
    assert finer_map(GEOMETRY, [(0, 0, 1, 1, weight)]).max() == indices


def test_the_higher_weight_counts_where_regions_overlap():
    regions = [(0, 0, 64, 64, 2), (32, 32, 64, 64, 8)]
    finer = finer_map(GEOMETRY, regions).reshape(4, 7)
    assert (finer[0, 0], finer[1, 1], finer[2, 2]) == (32, 96, 96)
    np.testing.assert_array_equal(finer_map(GEOMETRY, regions[::-1]).reshape(4, 7), finer)


@pytest.mark.parametrize("regions", [[], [(0, 0, 50, 50, 1)]])
def test_no_region_or_a_weight_of_1_changes_nothing(regions):
    assert finer_map(GEOMETRY, regions) is None


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ((1, 2, 3), "a region is x, y, width, height and perhaps a weight, not 1,2,3"),
        ((1, 2, 3, 4, 5, 6), "a region is"),
        ((-1, 0, 9, 9), "needs whole numbers"),
        ((0, 0, 0, 9), "needs whole numbers"),
        ((0.5, 0, 9, 9), "needs whole numbers"),
        ((float("nan"), 0, 9, 9), "needs whole numbers"),
        ((0, float("inf"), 9, 9), "needs whole numbers"),
        ((200, 0, 9, 9), "200,0,9,9 lies outside the picture of 200x100 pixels"),
        ((0, 100, 9, 9), "lies outside"),
        ((0, 0, 9, 9, 0.5), "weight must be from 1 to 200, not 0.5"),
        ((0, 0, 9, 9, 201), "weight"),
        ((0, 0, 9, 9, float("nan")), "weight"),
    ],
    ids=str,
)
def test_regions_that_make_no_sense_are_refused(region, reason):
    with pytest.raises(UsageError, match=reason):
        finer_map(GEOMETRY, [region])


@pytest.mark.parametrize("target", [{"quality": 20}, {"budget": 6000}], ids=str)
def test_a_region_comes_out_better(block8, kodim, target):
    inside = (slice(160, 288), slice(320, 480))

    def error(**options):
        again = block8.decode(block8.encode(kodim, **target, **options)).astype(float)
        return np.mean((again[inside] - kodim[inside]) ** 2), np.mean((again - kodim) ** 2)

    region, everything = error(roi=[(320, 160, 160, 128)])
    plain_region, plain = error()
    assert region < 0.6 * plain_region
    assert everything > plain if "budget" in target else everything < plain
