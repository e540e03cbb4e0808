"""BD-rates, and the meter that measures them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farlook.calibration.distortion import MOST_PSNR, Meter, Points, bd_rate, change, integral, psnr
from farlook.runtime.codec import Codec

ANCHOR = Points((100, 200, 400, 900), (25.0, 28.0, 31.0, 34.5))


def test_equal_curves_cost_nothing():
    assert bd_rate(ANCHOR, ANCHOR) == 0


@pytest.mark.parametrize("factor", [0.5, 1.1, 3.0])
def test_a_constant_factor_of_bytes_is_found(factor):
    scaled = Points(tuple(round(10_000 * factor * size) for size in ANCHOR.sizes), ANCHOR.psnr)
    anchor = Points(tuple(10_000 * size for size in ANCHOR.sizes), ANCHOR.psnr)
    assert bd_rate(scaled, anchor) == pytest.approx(100 * (factor - 1), abs=1e-3)


def test_curves_that_do_not_meet_cost_infinitely_much():
    assert bd_rate(Points(ANCHOR.sizes, (5.0, 6.0, 7.0, 8.0)), ANCHOR) == math.inf


def test_a_curve_that_saturates_is_not_a_good_one():
    saturated = Points(ANCHOR.sizes, (25.0, 28.0, 28.5, 28.6))
    assert bd_rate(saturated, ANCHOR) > 100


def test_a_curve_that_ends_a_little_lower_goes_on_with_its_slope():
    sizes = tuple(round(10_000 * 2 ** (value - 25)) for value in ANCHOR.psnr)
    shorter = tuple(round(10_000 * 2 ** (value - 25)) for value in (25.0, 28.0, 31.0, 33.0))
    straight = Points(sizes, ANCHOR.psnr)
    assert bd_rate(Points(shorter, (25.0, 28.0, 31.0, 33.0)), straight) == pytest.approx(0, abs=0.01)


def test_a_little_difference_costs_little():
    anchor = Points((62, 285, 3204), (32.848, 40.831, 48.889))
    tested = Points((62, 286, 3203), (32.849, 40.824, 48.872))
    assert abs(bd_rate(tested, anchor)) < 0.6


def test_points_that_more_bytes_make_no_better_do_not_count():
    folded = Points((*ANCHOR.sizes, 1000), (*ANCHOR.psnr, 30.0))
    assert bd_rate(folded, ANCHOR) == 0


def test_the_integral_is_scipys():
    interpolate = pytest.importorskip("scipy.interpolate")
    rng = np.random.default_rng(0)
    for _ in range(50):
        x = np.cumsum(rng.uniform(0.1, 3, rng.integers(2, 8)))
        y = rng.normal(size=len(x))
        low, high = np.sort(rng.uniform(x[0], x[-1], 2))
        wanted = interpolate.PchipInterpolator(x, y).integrate(low, high)
        assert integral(x, y, low, high) == pytest.approx(float(wanted), abs=1e-9)


def test_change_reads_as_more_bytes_and_less_quality():
    worse = Points(tuple(2 * size for size in ANCHOR.sizes), tuple(value - 1 for value in ANCHOR.psnr))
    found = change([worse], [ANCHOR])
    assert found.rate == pytest.approx(100)
    assert found.psnr == pytest.approx(-1)
    assert found.bd_rate > 100


def test_psnr_of_equal_pictures_is_finite():
    picture = np.zeros((4, 4), np.uint8)
    assert psnr(picture, picture) == MOST_PSNR
    assert psnr(picture, picture + np.uint8(255)) == 0


class Spoilt:
    """A synthesis that loses contrast."""

    def __init__(self, session):
        self._session = session

    def run(self, inputs):
        return {name: 0.5 * value for name, value in self._session.run(inputs).items()}


def test_the_meter_swaps_sessions_and_puts_them_back(kodim):
    codec = Codec.load("block8-paper", "ort", threads=1)
    crop = np.ascontiguousarray(kodim[:64, :96])
    steps = []
    meter = Meter(codec, [crop], (10, 50, 90), lambda: steps.append(1))
    before = codec._synthesis
    assert meter.compare(meter.measure({})).bd_rate == 0
    found = meter.compare(meter.measure({"synthesis": Spoilt(before)}))
    assert found.psnr < -3
    assert found.rate == 0
    assert codec._synthesis is before
    assert len(steps) == 1


def test_the_standard_error_is_that_of_a_mean():
    anchor = Points((100, 200, 400), (25.0, 28.0, 31.0))
    times = [
        Points(tuple(factor * size for size in (100, 200, 400)), anchor.psnr) for factor in (1.1, 1.2, 1.3)
    ]
    found = change(times, [anchor] * 3)
    assert (found.bd_rate, found.error) == (pytest.approx(20), pytest.approx(10 / 3**0.5))
    assert change(times[:1], [anchor]).error is None
    apart = Points((100, 200, 400), (5.0, 8.0, 11.0))
    assert change([apart, anchor], [anchor, anchor]).error is None
