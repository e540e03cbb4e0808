"""In which order a tile's symbols are coded: groups of channels, and within a group lattices of positions.

The first group goes coarse to fine, so that a position has known neighbours on all four sides almost everywhere:

    step 0: rows and columns that are multiples of `spacing`; no neighbours known
    for h = spacing/2, ..., 2, 1:
        rows and columns h (mod 2h); the four diagonal neighbours at distance h are known
        then the other positions at multiples of h; the four straight neighbours at distance h are known

Further groups do the same with a spacing of their own. Every step sees all groups before its own, everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DIAGONAL = ((-1, -1), (-1, 1), (1, -1), (1, 1))
STRAIGHT = ((-1, 0), (0, -1), (0, 1), (1, 0))
MEAN_UNIT = 12
"""Means of one to four neighbours are whole numbers in units of 1/12."""


@dataclass(frozen=True)
class Step:
    """What is coded at once.

    Attributes:
        first: The group's first channel, in coding order: those before it are known everywhere.
        last: Its last channel plus one.
        spacing: The positions are those of a lattice of this spacing, shifted by `offsets`.
        offsets: Row and column, each less than `spacing`.
        neighbours: Directions of the group's own known neighbours; none in a group's first step.
        distance: How far they are.
        closes: Whether it is the group's last step.
    """

    first: int
    last: int
    spacing: int
    offsets: tuple[tuple[int, int], ...]
    neighbours: tuple[tuple[int, int], ...]
    distance: int
    closes: bool

    @property
    def channels(self) -> slice:
        """The group's channels."""
        return slice(self.first, self.last)


def make_steps(ends: Sequence[int], spacings: Sequence[int]) -> tuple[Step, ...]:
    """The steps of groups that end before the channels `ends`, each with its spacing, a power of two."""
    steps: list[Step] = []
    for first, last, spacing in zip((0, *ends[:-1]), ends, spacings, strict=True):
        steps.append(Step(first, last, spacing, ((0, 0),), (), 0, closes=spacing == 1))
        half = spacing // 2
        while half:
            corners, edges = ((half, half),), ((0, half), (half, 0))
            steps.append(Step(first, last, 2 * half, corners, DIAGONAL, half, closes=False))
            steps.append(Step(first, last, 2 * half, edges, STRAIGHT, half, closes=half == 1))
            half //= 2
    return tuple(steps)


@lru_cache(maxsize=256)
def positions(step: Step, height: int, width: int) -> NDArray[np.intp]:
    """The step's positions in a tile of `height` x `width`, as indices of its flattened grid, in rising order."""
    chosen = np.zeros((height, width), dtype=np.bool_)
    for row, column in step.offsets:
        chosen[row :: step.spacing, column :: step.spacing] = True
    return np.flatnonzero(chosen)


def neighbour_means(known: NDArray[np.float64], step: Step) -> NDArray[np.float64]:
    """The means of a step's known neighbours inside the tile, in units of 1/12, everywhere.

    Args:
        known: Whole numbers, float64 [channels, height, width].
        step: With `neighbours`.

    Returns:
        Whole numbers, float64 of the same shape; 0 where there is no neighbour.
    """
    height, width = known.shape[1:]
    total = np.zeros_like(known)
    count = np.zeros((height, width))
    for down, right in step.neighbours:
        to_rows, from_rows = _overlap(height, down * step.distance)
        to_columns, from_columns = _overlap(width, right * step.distance)
        total[:, to_rows, to_columns] += known[:, from_rows, from_columns]
        count[to_rows, to_columns] += 1
    total *= MEAN_UNIT / np.maximum(count, 1)  # 12, 6, 4 or 3: exact
    return total


def neighbour_spread(known: NDArray[np.float64], step: Step) -> NDArray[np.float64]:
    """How far a step's known neighbours inside the tile lie apart: the largest less the smallest, everywhere."""
    height, width = known.shape[1:]
    largest, smallest = np.full_like(known, -np.inf), np.full_like(known, np.inf)
    for down, right in step.neighbours:
        to_rows, from_rows = _overlap(height, down * step.distance)
        to_columns, from_columns = _overlap(width, right * step.distance)
        target, source = (slice(None), to_rows, to_columns), (slice(None), from_rows, from_columns)
        np.maximum(largest[target], known[source], out=largest[target])
        np.minimum(smallest[target], known[source], out=smallest[target])
    return np.maximum(largest - smallest, 0)


def eight_around(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """The eight neighbours, the rim repeated outwards: float64 [8, channels, height, width]."""
    height, width = known.shape[1:]
    padded = np.pad(known, ((0, 0), (1, 1), (1, 1)), mode="edge")
    shifts = [(down, right) for down in range(3) for right in range(3) if (down, right) != (1, 1)]
    return np.stack([padded[:, d : d + height, r : r + width] for d, r in shifts])


def surroundings(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums over the eight neighbours, the rim repeated outwards: float64 [channels, height, width]."""
    padded = np.pad(known, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    total: NDArray[np.float64] = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    return total - known


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """Where x[to] = y[from] shifts y against `shift`: positions that have a neighbour there, and it."""
    return slice(max(-shift, 0), max(size - max(shift, 0), 0)), slice(
        max(shift, 0), max(size + min(shift, 0), 0)
    )
