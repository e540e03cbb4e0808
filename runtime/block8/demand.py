"""How many bytes a picture asks for at a step, from its coefficients alone.

The bits of a picture grow with the coefficients that are not zero once they are quantised (He and Mitra, "A unified
rate-distortion analysis framework for transform coding", 2001): counting them costs a tenth of coding them.
Alone, the count is right within 10 % or so; scaled by one coded size, within 1 % for steps near by.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Geometry

_DEAD_ZONE = 0.62
"""Of a step: what is smaller mostly becomes zero."""

_BITS_STEPS = (200, 300, 400, 500, 600, 660, 700, 750, 800)
_BITS = {
    1: (6.0, 4.6, 4.5, 4.15, 3.6, 2.85, 2.2, 1.6, 1.2),
    3: (7.2, 5.6, 5.3, 4.85, 4.2, 3.45, 2.7, 2.0, 1.4),
}
"""Bits for each of luma's coefficients that is not zero, chroma's bits included, at these steps, by bands.

Means over twelve photographs: where a search begins, no more.
"""

_UNIT = 2
"""What a unit asks for even if it is empty, in coefficients."""

_SLOPE, _STEEPEST, _FLATTEST = -0.012, -0.04, -0.003
"""How the logarithm of a size changes with the step's index: about, at the most and at the least."""

_SECANTS = 6
_CLOSE = 0.003
_FAR = 96


class Demand:
    """The demand of rows of units.

    Args:
        geometry: The picture's.
        stores: int16 [units, 1536] of whole rows of units each, as `Core.store_rows` makes them.
    """

    def __init__(self, geometry: Geometry, stores: Sequence[NDArray[np.int16]]) -> None:
        whole = geometry.blocks(0)[1] // 4  # a store's blocks beyond the picture's edge hold anything
        store = stores[0] if len(stores) == 1 else np.concatenate(stores)
        self._levels = _levels(store, geometry.units_x, whole)
        self._empty = _UNIT * whole * len(self._levels)
        self._bits = _BITS[geometry.bands]

    def bytes_at(self, step: int) -> float:
        """About how many bytes these rows of units take; right but for a factor."""
        if self._levels.size == 0:
            return 1e4 * math.exp(_SLOPE * step)
        threshold = _DEAD_ZONE * 2 ** (step / 64)
        least = int(threshold)
        count = float(np.count_nonzero(self._levels >= least))
        if least < 64:  # between two whole numbers
            count += (threshold - least) * (np.count_nonzero(self._levels > least) - count)
        return _bits_at(step, self._bits) / 8 * (count + self._empty)

    def step_for(self, size: float, scale: float, start: int = 500) -> int:
        """The step at which `scale * bytes_at(step)` is about `size`, sought from `start` on by secants."""
        slope, step, before = _SLOPE, start, None
        size = max(size, 1)
        for _ in range(_SECANTS):
            error = math.log(size / (scale * self.bytes_at(step)))
            if before is not None and step != before[0]:
                slope = min(max((before[1] - error) / (step - before[0]), _STEEPEST), _FLATTEST)
            before = (step, error)
            step = min(max(round(step + error / slope), 0), STEPS - 1)
            if abs(step - before[0]) <= 1 or abs(error) < _CLOSE:
                break
        return step


class Guesses:
    """Where to try next, given the sizes that were coded.

    Args:
        demand: Of the picture, or of a sample of it.
        target: The size to come near, in bytes.
    """

    def __init__(self, demand: Demand, target: float) -> None:
        self._demand, self._target = demand, max(target, 1)
        self._above: list[tuple[int, float]] = []
        self._below: list[tuple[int, float]] = []

    def add(self, step: int, size: float) -> None:
        """Take note of a size."""
        error = math.log(self._target / size)
        (self._below if error > 0 else self._above).append((step, error))

    def next(self) -> int:
        """The step to try: between the nearest two sizes, or as the demand goes on from the nearest one."""
        above = max(self._above, default=None)
        below = min(self._below, default=None)
        if above is not None and below is not None:
            share = above[1] / (above[1] - below[1])
            return round(above[0] + share * (below[0] - above[0]))
        points = self._above or self._below
        if not points:
            return self._demand.step_for(self._target, 1.0)
        step, error = points[-1]
        scale = self._target * math.exp(-error) / self._demand.bytes_at(step)
        guess = self._demand.step_for(self._target, scale, step + round(error / _SLOPE))
        if len(points) > 1 and step != points[-2][0]:  # it may grow less than the demand does
            slope = min((points[-2][1] - error) / (step - points[-2][0]), -_CLOSE)
            move = min(max(round(error / slope), -_FAR), _FAR)
            guess = step + max(move, guess - step, key=abs)
        return min(max(guess, 0), STEPS - 1)


def count_levels(stores: Iterable[NDArray[np.int16]], step: int) -> int:
    """How many of luma's coefficients are not small, means included: to compare parts of a picture by."""
    least = int(_DEAD_ZONE * 2 ** (step / 64))
    return sum(int(np.count_nonzero(np.abs(store[:, :1024]) >= least)) for store in stores)


def _bits_at(step: int, bits: Sequence[float]) -> float:
    """Linear between the steps of `_BITS_STEPS`."""
    last = len(bits) - 2
    i = next((i for i in range(last) if step < _BITS_STEPS[i + 1]), last)
    share = min(max((step - _BITS_STEPS[i]) / (_BITS_STEPS[i + 1] - _BITS_STEPS[i]), 0), 1)
    return bits[i] + share * (bits[i + 1] - bits[i])


def _levels(store: NDArray[np.int16], columns: int, whole: int) -> NDArray[np.int16]:
    """Magnitudes of luma's coefficients, of means only their differences: int16 [rows, levels of a row]."""
    luma = store.reshape(-1, columns, store.shape[1])[:, :whole, :1024]
    levels: NDArray[np.int16] = np.abs(luma)
    blocks = (*luma.shape[:2], 4, 8, 4, 8)  # block column, u, block row, v
    means = luma.reshape(blocks)[:, :, :, 0, :, 0].astype(np.int32)
    steps = np.zeros_like(means)
    steps[..., 1:] = means[..., 1:] - means[..., :-1]
    steps[..., 1:, 0] = means[..., 1:, 0] - means[..., :-1, 0]
    steps[:, 1:, 0, 0] = means[:, 1:, 0, 0] - means[:, :-1, 0, 0]
    levels.reshape(blocks)[:, :, :, 0, :, 0] = np.abs(steps).clip(max=32767)
    return levels.reshape(len(luma), -1)
