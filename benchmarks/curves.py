"""Rate-distortion curves: what a codec reaches at a rate, and the bits it saves against another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.errors import MissingExtraError

try:
    from scipy.interpolate import PchipInterpolator
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "bench", "to interpolate rate-distortion curves") from error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MIN_OVERLAP = 0.25
"""Decibels that two curves must share for `bd_rate` to compare them."""


@dataclass(frozen=True)
class Curve:
    """What one codec makes of one picture, at rates that rise and a quality that rises with them.

    Attributes:
        log_rates: Natural logarithms of the rates, in bits a pixel.
        values: PSNR in dB, or another figure of which more is better.
    """

    log_rates: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, points: Iterable[tuple[float, float]]) -> Curve:
        """The curve through (bits a pixel, value), without points that more bits make no better.

        Whoever uses the codec would not choose them; without them either axis is a function of the other.
        """
        kept: list[tuple[float, float]] = []
        for rate, value in sorted(points, key=lambda point: (point[0], -point[1])):
            if not kept or value > kept[-1][1]:
                kept.append((math.log(rate), value))
        rates, values = np.array(kept, np.float64).reshape(-1, 2).T
        return cls(rates, values)

    def at(self, rate: float) -> float | None:
        """The value at `rate` bits a pixel, by PCHIP over the logarithm; None outside the curve.

        >>> curve = Curve.of([(0.1, 25.0), (0.2, 28.0), (0.4, 31.0)])
        >>> round(curve.at(0.2), 6), curve.at(0.05)
        (28.0, None)
        """
        if not len(self.values) or not self.log_rates[0] <= math.log(rate) <= self.log_rates[-1]:
            return None
        if len(self.values) == 1:
            return float(self.values[0])
        return float(PchipInterpolator(self.log_rates, self.values)(math.log(rate)))

    def between(self, low: float, high: float) -> tuple[float, float] | None:
        """The lowest and the highest value that the curve has at `low` to `high` bits a pixel."""
        if not len(self.values):
            return None
        first, last = math.exp(self.log_rates[0]), math.exp(self.log_rates[-1])
        ends = [self.at(min(max(rate, first), last)) for rate in (low, high)]
        if first > high or last < low or None in ends:
            return None
        return float(ends[0] or 0.0), float(ends[1] or 0.0)


def overlap(tested: Curve, anchor: Curve, low: float = 0.05, high: float = 0.5) -> tuple[float, float] | None:
    """The values that `tested` has from `low` to `high` bits a pixel and `anchor` has at all.

    None if those are less than `MIN_OVERLAP`: too little to compare over.
    """
    span = tested.between(low, high)
    if span is None or not len(anchor.values):
        return None
    bottom, top = max(span[0], anchor.values[0]), min(span[1], anchor.values[-1])
    return (float(bottom), float(top)) if top - bottom >= MIN_OVERLAP else None


def bd_rate(tested: Curve, anchor: Curve, low: float = 0.05, high: float = 0.5) -> float | None:
    """Bjontegaard's delta rate of PSNR curves in per cent: what `tested` needs more than `anchor`, on average.

    Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with piecewise
    cubic interpolation (PCHIP) of the logarithm of the rate instead of one cubic. The average is over the PSNR
    that `tested` has from `low` to `high` bits a pixel, as far as `anchor` has it too; None if both have less
    than `MIN_OVERLAP` in common.

    >>> anchor = Curve.of([(0.1, 25.0), (0.2, 28.0), (0.4, 31.0)])
    >>> half = Curve.of([(0.05, 25.0), (0.1, 28.0), (0.2, 31.0)])
    >>> round(bd_rate(half, anchor), 6)
    -50.0
    """
    shared = overlap(tested, anchor, low, high)
    if shared is None:
        return None
    bottom, top = shared
    integrals = [
        PchipInterpolator(curve.values, curve.log_rates).integrate(bottom, top) for curve in (tested, anchor)
    ]
    return 100 * math.expm1(float(integrals[0] - integrals[1]) / (top - bottom))
