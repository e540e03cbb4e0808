"""Probability tables of a neural codec: counted, with logistic distributions where counts are few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.neural.coder import PROBABILITY_BITS
from farlook.runtime.neural.contexts import FRACTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.runtime.neural.contexts import Longs

    Doubles = NDArray[np.float64]

CLASSES = 64
OCTAVE = 6
"""Classes to a doubling of the scale."""
SMALLEST = -5.0
"""Binary logarithm of class 0's scale: a symbol that is not 0 has then a probability of 2e-7."""

_REACH = 255
_BORROWED = 30.0
"""Occurrences that the logistic distribution counts for."""
_TAIL = 1 / 2048
"""About the share of numbers that a table leaves to the escape."""


class TableCounter:
    """A port that counts how often each table meets each number.

    Attributes:
        counts: int64 [tables, 2 * 255 + 3]: below -255, -255, ..., 255, above.
    """

    def __init__(self) -> None:
        self.counts = np.zeros((CLASSES * FRACTIONS, 2 * _REACH + 3), dtype=np.int64)

    def code(self, tables: Longs, values: Longs | None) -> Longs:
        """Count a batch; see `farlook.runtime.neural.contexts.Port`."""
        if values is None:
            raise ValueError("counting needs values")
        cells = tables * self.counts.shape[1] + np.clip(values, -_REACH - 1, _REACH + 1) + _REACH + 1
        self.counts += np.bincount(cells, minlength=self.counts.size).reshape(self.counts.shape)
        return values


def class_scale(number: int) -> float:
    """The scale of a class's logistic distribution."""
    return float(2.0 ** (SMALLEST + number / OCTAVE))


def make_tables(counts: NDArray[np.int64]) -> list[list[int]]:
    """Whole probabilities of each table: 2 reach + 2 numbers, 65536 in sum; see `Tables`."""
    tables = []
    for table, row in enumerate(counts):
        prior = _logistic(class_scale(table // FRACTIONS), table % FRACTIONS / 8)
        share = (row + _BORROWED * prior) / (row.sum() + _BORROWED)
        centre = _REACH + 1
        tails = 1 - np.cumsum(
            np.concatenate([share[centre : centre + 1], share[centre + 1 :] + share[:centre][::-1]])
        )
        reach = int(np.clip(np.argmax(tails[: _REACH + 1] <= _TAIL) or _REACH, 1, _REACH))
        inner = share[centre - reach : centre + reach + 1]
        tables.append(_whole(np.append(inner, max(1 - inner.sum(), 0.0))))
    return tables


def _logistic(scale: float, mean: float) -> Doubles:
    """Probabilities of below -255, -255, ..., 255, above."""
    borders = np.arange(-_REACH - 0.5, _REACH + 1) - mean
    below = np.concatenate([[0.0], 0.5 * (1 + np.tanh(borders / (2 * scale))), [1.0]])
    probabilities: Doubles = np.diff(below)
    return probabilities


def _whole(shares: Doubles) -> list[int]:
    """Whole numbers of at least 1 near `shares` of 65536, which is their sum."""
    total = (1 << PROBABILITY_BITS) - len(shares)
    exact = shares / shares.sum() * total
    parts = np.floor(exact).astype(np.int64)
    missing = total - int(parts.sum())
    parts[np.argsort(parts - exact, kind="stable")[:missing]] += 1
    return [int(part) + 1 for part in parts]
