"""Curves: interpolation, and BD-rates that are known."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

pytest.importorskip("scipy")

from farlook.benchmarks import curves
from farlook.benchmarks.curves import Curve, bd_rate

RATES = (0.04, 0.08, 0.16, 0.32, 0.64)


def line(factor=1.0, rates=RATES, rise=3.0):
    """PSNR that rises by `rise` dB with each doubling of the rate, at `factor` times the bits."""
    return Curve.of([(factor * rate, 30 + rise * math.log2(rate)) for rate in rates])


def test_the_examples_hold():
    assert doctest.testmod(curves).failed == 0


def test_a_curve_goes_through_its_points_and_ends_with_them():
    curve = line()
    for rate in RATES:
        assert curve.at(rate) == pytest.approx(30 + 3 * math.log2(rate))
    assert curve.at(0.0399) is None
    assert curve.at(0.6401) is None


def test_between_points_a_straight_line_stays_straight():
    assert line().at(0.1) == pytest.approx(30 + 3 * math.log2(0.1))


def test_points_that_more_bits_make_no_better_are_left_out():
    curve = Curve.of([(0.2, 27), (0.1, 25), (0.15, 24.9), (0.1, 24), (0.3, 27)])
    assert np.exp(curve.log_rates) == pytest.approx([0.1, 0.2])
    assert list(curve.values) == [25, 27]


def test_a_curve_of_nothing_or_of_one_point():
    assert Curve.of([]).at(0.1) is None
    assert Curve.of([]).between(0.05, 0.5) is None
    assert Curve.of([(0.1, 25)]).at(0.1) == 25
    assert bd_rate(Curve.of([]), line()) is None
    assert bd_rate(line(), Curve.of([])) is None
    assert bd_rate(Curve.of([(0.1, 25)]), line()) is None


@pytest.mark.parametrize("factor", [0.5, 0.9, 1, 1.25, 2])
def test_a_factor_of_the_rate_is_the_bd_rate(factor):
    assert bd_rate(line(factor), line(), low=0.01, high=9) == pytest.approx(100 * (factor - 1))
    assert bd_rate(line(factor), line()) == pytest.approx(100 * (factor - 1))


def test_it_averages_the_logarithm_over_psnr():
    # At 3 dB a doubling against 6, equal at 0.16: from -6 to 6 dB the logarithms cancel out.
    tested, anchor = (
        line(),
        Curve.of([(rate, 30 + 6 * math.log2(rate / 0.16) + 3 * math.log2(0.16)) for rate in RATES]),
    )
    assert bd_rate(tested, anchor, low=0.04, high=0.64) == pytest.approx(0, abs=1e-9)
    upper = bd_rate(tested, anchor, low=0.16, high=0.64)
    # Over 0 to 6 dB the tested needs 2^(d/3), the anchor 2^(d/6): on average 2^(6/12).
    assert upper == pytest.approx(100 * (math.sqrt(2) - 1))


def test_only_the_tested_curves_range_counts():
    bent = Curve.of([(0.04, line().at(0.04) - 5), *((rate, line().at(rate)) for rate in RATES[1:])])
    assert bd_rate(bent, line(), low=0.16, high=0.64) == pytest.approx(0, abs=1e-9)
    assert bd_rate(bent, line(), low=0.05, high=0.64) > 1


def test_an_anchor_that_reaches_further_up_is_used_where_it_has_the_psnr():
    wide = line(2.0, rates=(*RATES, 1.28))
    assert bd_rate(line(), wide) == pytest.approx(-50)


@pytest.mark.parametrize(("overlap", "compared"), [(0.3, True), (0.2, False)])
def test_curves_with_too_little_in_common_are_not_compared(overlap, compared):
    top = line().at(0.5)
    assert (bd_rate(line(), Curve.of([(0.1, top - overlap), (0.5, top + 5)])) is not None) == compared
    assert (bd_rate(line(), Curve.of([(0.1, 20), (0.5, 20 + overlap)])) is not None) == compared


def test_curves_outside_the_rates_are_not_compared():
    assert bd_rate(line(rates=(0.6, 1.0, 2.0)), line()) is None
    assert bd_rate(line(rates=(0.01, 0.02, 0.04)), line()) is None
