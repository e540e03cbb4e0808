"""What a codec's networks cost when they are changed: real coded bytes, PSNR, and the bits lost on average."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.codec import Codec

    Floats = NDArray[np.float64]
    Picture = NDArray[np.uint8]

QUALITIES = (10, 35, 65, 90)
"""Where rate and distortion are measured."""
MOST_PSNR = 100.0
"""Stands for that of equal pictures, so that means stay finite."""
_LEAST_OVERLAP = 0.1
_LARGEST_LOG = 10.0


@dataclass(frozen=True)
class Points:
    """One picture at several qualities, in their order.

    Attributes:
        sizes: Bytes of the streams.
        psnr: In dB, all bands together.
    """

    sizes: tuple[int, ...]
    psnr: tuple[float, ...]


class Meter:
    """Codes pictures with some networks of a codec changed, and compares with the codec as it was opened.

    Streams of the codec as it was are kept (not the pictures made of them), so that a changed synthesis is measured
    without encoding anew.

    Attributes:
        reference: What the codec as it was opened reaches, a picture each.

    Args:
        codec: Of any kind; as it is opened, it is the reference.
        pictures: uint8 [height, width] or [height, width, 3].
        qualities: See `QUALITIES`.
        advance: Called after each picture.
    """

    def __init__(
        self,
        codec: Codec,
        pictures: Sequence[Picture],
        qualities: Sequence[int] = QUALITIES,
        advance: Callable[[], None] = lambda: None,
    ) -> None:
        self._codec = codec
        self._pictures = pictures
        self._qualities = tuple(qualities)
        self._original: dict[str, Session] = {}
        codec.swap_sessions(self._remember)
        self._streams = []
        self.reference = []
        for picture in pictures:
            streams = [codec.encode(picture, quality=quality) for quality in self._qualities]
            self._streams.append(streams)
            self.reference.append(self._points(picture, streams))
            advance()

    def measure(self, sessions: Mapping[str, Session]) -> list[Points]:
        """What the codec reaches with other sessions for some of its networks, a picture each."""
        self._codec.swap_sessions(lambda name, _: sessions.get(name, self._original[name]))
        try:
            found = []
            for picture, kept in zip(self._pictures, self._streams, strict=True):
                anew = "analysis" in sessions
                streams = [self._codec.encode(picture, quality=q) for q in self._qualities] if anew else kept
                found.append(self._points(picture, streams))
            return found
        finally:
            self._codec.swap_sessions(lambda name, _: self._original[name])

    def compare(self, found: Sequence[Points]) -> Change:
        """How points differ from the reference's."""
        return change(found, self.reference)

    def _remember(self, name: str, session: Session) -> Session:
        self._original[name] = session
        return session

    def _points(self, picture: Picture, streams: Sequence[bytes]) -> Points:
        values = [psnr(picture, self._codec.decode(stream)) for stream in streams]
        return Points(tuple(map(len, streams)), tuple(values))


@dataclass(frozen=True)
class Change:
    """What a change of the networks costs, on average over pictures.

    Attributes:
        bd_rate: More bits at equal PSNR, in per cent: Bjontegaard's delta rate. Infinite if the curves do not meet.
        psnr: Change of the PSNR at equal quality, in dB.
        rate: Change of the bytes at equal quality, in per cent.
        error: Standard error of `bd_rate` over the pictures, in per cent: how far the mean of as many others of
            their kind would be off, typically. None of a single picture, or if curves do not meet.
    """

    bd_rate: float
    psnr: float
    rate: float
    error: float | None = None


def change(found: Sequence[Points], reference: Sequence[Points]) -> Change:
    """How points differ from those of a reference, of the same pictures and qualities."""
    pairs = list(zip(found, reference, strict=True))
    rates = [bd_rate(a, b) for a, b in pairs]
    decibels = [np.mean(np.subtract(a.psnr, b.psnr)) for a, b in pairs]
    logs = [np.mean(np.log(np.divide(a.sizes, b.sizes))) for a, b in pairs]
    error = None
    if len(rates) > 1 and all(map(math.isfinite, rates)):
        error = float(np.std(rates, ddof=1)) / math.sqrt(len(rates))
    return Change(
        float(np.mean(rates)), float(np.mean(decibels)), 100 * math.expm1(float(np.mean(logs))), error
    )


def psnr(original: Picture, found: Picture) -> float:
    """Peak signal-to-noise ratio in dB, all samples of all bands together; `MOST_PSNR` for equal pictures."""
    error = float(np.mean((original.astype(np.float32) - found.astype(np.float32)) ** 2, dtype=np.float64))
    return min(10 * math.log10(255**2 / error), MOST_PSNR) if error else MOST_PSNR


def bd_rate(tested: Points, anchor: Points) -> float:
    """Bjontegaard's delta rate in per cent: what `tested` needs more than `anchor`; infinite if they do not meet.

    Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with piecewise cubic
    interpolation of the logarithm of the rate. The average goes up to the PSNR that `anchor` reaches: where
    `tested` ends below, it goes straight on. Over what both reach, as is common, a curve that saturates
    would count as a good one.

    >>> anchor = Points((100, 200, 400), (25.0, 28.0, 31.0))
    >>> round(bd_rate(Points((50, 100, 200), (25.0, 28.0, 31.0)), anchor), 6)
    -50.0
    """
    (mine, my_logs), (others, their_logs) = _rising(tested), _rising(anchor)
    if min(len(mine), len(others)) < 2:
        return math.inf
    bottom, top = max(mine[0], others[0]), others[-1]
    if min(mine[-1], top) - bottom < _LEAST_OVERLAP:
        return math.inf
    more = integral(mine, my_logs, bottom, min(top, mine[-1])) - integral(others, their_logs, bottom, top)
    more += _beyond(mine, my_logs, top)
    return 100 * math.expm1(min(more / (top - bottom), _LARGEST_LOG))


def _beyond(values: Floats, logs: Floats, top: float) -> float:
    """The integral of a curve from its end to `top`, straight on; 0 if it reaches it."""
    gap = max(top - values[-1], 0.0)
    slopes = np.diff(logs) / np.diff(values)
    slope = max(_tangents(np.diff(values), slopes)[-1], slopes[-1])
    return float(gap * (logs[-1] + gap * slope / 2))


def _rising(points: Points) -> tuple[Floats, Floats]:
    """PSNR and logarithms of sizes, without points that more bytes make no better."""
    kept: list[tuple[float, float]] = []
    for size, value in sorted(zip(points.sizes, points.psnr, strict=True), key=lambda p: (p[0], -p[1])):
        if not kept or value > kept[-1][0]:
            kept.append((value, math.log(size)))
    table = np.array(kept, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def integral(x: Floats, y: Floats, low: float, high: float) -> float:
    """Of the monotone piecewise cubic through points (PCHIP) from `low` to `high`, both within `x`.

    Fritsch and Butland, "A method for constructing local monotone piecewise cubic interpolants", SIAM Journal on
    Scientific and Statistical Computing 5(2), 1984, with three-point ends kept monotone: what scipy and MATLAB compute.
    """
    steps, slopes = np.diff(x), np.diff(y) / np.diff(x)
    tangents = _tangents(steps, slopes)
    total = 0.0
    for i, step in enumerate(steps):
        a, b = max(low, x[i]), min(high, x[i + 1])
        if b <= a:
            continue
        # y = y0 + t d0 + t^2 c2 + t^3 c3 with t from x[i]
        c2 = (3 * slopes[i] - 2 * tangents[i] - tangents[i + 1]) / step
        c3 = (tangents[i] + tangents[i + 1] - 2 * slopes[i]) / step**2
        for t, sign in ((b - x[i], 1.0), (a - x[i], -1.0)):
            total += sign * float(t * (y[i] + t * (tangents[i] / 2 + t * (c2 / 3 + t * c3 / 4))))
    return total


def _tangents(steps: Floats, slopes: Floats) -> Floats:
    if len(slopes) == 1:
        return np.repeat(slopes, 2)
    tangents = np.zeros(len(slopes) + 1)
    for i in range(1, len(slopes)):
        before, after = slopes[i - 1], slopes[i]
        if before * after > 0:
            w1, w2 = 2 * steps[i] + steps[i - 1], steps[i] + 2 * steps[i - 1]
            tangents[i] = (w1 + w2) / (w1 / before + w2 / after)
    tangents[0] = _end(steps[0], steps[1], slopes[0], slopes[1])
    tangents[-1] = _end(steps[-1], steps[-2], slopes[-1], slopes[-2])
    return tangents


def _end(step: float, next_step: float, slope: float, next_slope: float) -> float:
    found = ((2 * step + next_step) * slope - step * next_slope) / (step + next_step)
    if found * slope <= 0:
        return 0.0
    if slope * next_slope <= 0 and abs(found) > 3 * abs(slope):
        return 3 * slope
    return float(found)
