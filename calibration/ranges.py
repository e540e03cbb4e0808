"""Ranges of tensors from any number of pictures in fixed memory: histograms of magnitudes that grow by doubling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.errors import CalibrationError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

METHODS = ("absmax", "percentile", "entropy", "mse")
"""Ways to choose the largest magnitude that INT8 shall represent; what lies beyond is clipped to it."""

BINS = 2048
LEVELS = 128
"""Magnitudes of a symmetric INT8: 0 to 127."""
PERCENTILE = 99.99

_SLICE = 1 << 18
_CANDIDATES = 128


class Histogram:
    """How often magnitudes of a tensor fall into each of `BINS` equal bins from 0 to a power of two.

    Attributes:
        counts: int64 [BINS].
        limit: Where the last bin ends; 0 before anything but zeros was seen.
        largest: The largest magnitude seen.
        seen: Numbers seen.

    >>> histogram = Histogram("x")
    >>> histogram.add(np.array([-1.0, 0.5, 3.0], np.float32))
    >>> histogram.limit, histogram.largest, histogram.seen
    (4.0, 3.0, 3)
    """

    def __init__(self, name: str) -> None:
        self.counts = np.zeros(BINS, dtype=np.int64)
        self.limit = 0.0
        self.largest = 0.0
        self.seen = 0
        self._name = name

    def add(self, values: NDArray[np.floating]) -> None:
        """Count a tensor's values.

        Raises:
            CalibrationError: One is infinite or not a number.
        """
        flat = np.asarray(values).reshape(-1)
        for start in range(0, flat.size, _SLICE):  # magnitudes of a part at a time: memory stays small
            self._add(np.abs(flat[start : start + _SLICE], dtype=np.float32))

    def threshold(self, method: str, percentile: float = PERCENTILE) -> float:
        """The largest magnitude to represent, above 0 unless only zeros were seen.

        Args:
            method: One of `METHODS`.
            percentile: Of magnitudes that shall not be clipped, for "percentile".

        Raises:
            UsageError: There is no such method, or the percentile is not above 0 and at most 100.
        """
        if method not in METHODS:
            raise UsageError(f"there is no method {method!r}; choose one of: {', '.join(METHODS)}")
        if not 0 < percentile <= 100:
            raise UsageError(f"a percentile lies above 0 and is at most 100, not {percentile}")
        if method == "absmax" or not self.largest:
            return self.largest
        found = {
            "percentile": lambda: self._percentile(percentile),
            "entropy": self._entropy,
            "mse": self._mse,
        }
        return min(found[method](), self.largest)

    def _add(self, magnitudes: NDArray[np.float32]) -> None:
        top = float(magnitudes.max(initial=0.0))
        if not math.isfinite(top):  # max passes NaN on
            raise CalibrationError(
                f"the tensor {self._name!r} has values that are infinite or not numbers: the FP32 network fails on "
                "this picture, so it cannot be calibrated"
            )
        self._reach(top)
        self.largest = max(self.largest, top)
        self.seen += magnitudes.size
        if not self.limit:
            self.counts[0] += magnitudes.size
            return
        bins = np.minimum((magnitudes.astype(np.float64) * (BINS / self.limit)).astype(np.int32), BINS - 1)
        self.counts += np.bincount(bins, minlength=BINS)

    def _reach(self, top: float) -> None:
        """Double the limit until it exceeds `top`; two bins become one."""
        if not top:
            return
        wanted = 2.0 ** (math.frexp(top)[1])
        if not self.limit:
            self.limit = wanted
        while self.limit < wanted:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts[:] = 0
            self.counts[: BINS // 2] = merged
            self.limit *= 2

    def _edges(self) -> NDArray[np.float64]:
        """Upper ends of the bins."""
        edges: NDArray[np.float64] = np.arange(1, BINS + 1, dtype=np.float64) * np.float64(self.limit / BINS)
        return edges

    def _percentile(self, percentile: float) -> float:
        wanted = math.ceil(self.seen * percentile / 100)
        return float(self._edges()[int(np.searchsorted(np.cumsum(self.counts), wanted))])

    def _candidates(self) -> NDArray[np.int64]:
        """Numbers of bins to keep that are tried: from 1/16 of those in use to all of them."""
        used = int(np.flatnonzero(self.counts)[-1]) + 1
        low = min(max(used // 16, 1), used)
        found: NDArray[np.int64] = np.unique(np.linspace(low, used, _CANDIDATES).astype(np.int64))
        return found

    def _mse(self) -> float:
        """Least mean squared error of rounding and clipping."""
        centres = self._edges() - self.limit / BINS / 2
        weights = self.counts.astype(np.float64)
        best, least = self.largest, math.inf
        for bins in self._candidates():
            threshold = float(self._edges()[bins - 1])
            step = threshold / (LEVELS - 1)
            inside = np.minimum(np.rint(centres / step), LEVELS - 1) * step
            error = float(weights @ (centres - inside) ** 2)
            if error < least:
                best, least = threshold, error
        return best

    def _entropy(self) -> float:
        """Least Kullback-Leibler divergence between the clipped histogram and its `LEVELS` levels.

        Migacz, "8-bit inference with TensorRT", GTC 2017; zeros, which every step represents, are left out.
        """
        counts = self.counts.astype(np.float64)
        counts[0] = 0
        if not counts.any():
            return self.largest
        best, least = self.largest, math.inf
        for bins in self._candidates():
            if bins < LEVELS:
                continue
            divergence = _divergence(counts, int(bins))
            if divergence < least:
                best, least = float(self._edges()[bins - 1]), divergence
        return best


def _divergence(counts: NDArray[np.float64], bins: int) -> float:
    """Of the first `bins` bins, with all beyond in the last of them, from their mean over each level."""
    want: NDArray[np.float64] = counts[:bins].copy()
    level = np.arange(bins) * LEVELS // bins
    used = want > 0
    sums = np.bincount(level, want, LEVELS)
    filled = np.bincount(level, used, LEVELS)
    got = np.where(used, (sums / np.maximum(filled, 1))[level], 0.0)
    want[-1] += counts[bins:].sum()
    if not got.sum():
        return math.inf
    want /= want.sum()
    got /= got.sum()
    both = (want > 0) & (got > 0)
    missing = float(want[(want > 0) & (got == 0)].sum())
    return float((want[both] * np.log(want[both] / got[both])).sum()) + 20 * missing
