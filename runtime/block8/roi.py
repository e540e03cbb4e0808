"""Regions of interest: units that a region touches get finer steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import UNIT
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Geometry

DEFAULT_WEIGHT = 4.0
MAX_WEIGHT = 200.0

_INDICES_AN_OCTAVE = 32
"""Step indices by which twice the weight is finer: half as many as twice as fine steps."""


def finer_map(geometry: Geometry, regions: Sequence[Sequence[float]]) -> NDArray[np.uint8] | None:
    """How much finer each unit's steps are.

    Args:
        geometry: The picture's.
        regions: Each (x, y, width, height) or (x, y, width, height, weight), in pixels; parts outside the
            picture do not count. A weight of 1 changes nothing, 4 (the default) halves the steps and so
            brings the error down to about a quarter; the highest is 200. Where regions overlap, the higher
            weight counts.

    Returns:
        uint8 [units], step indices; None if no unit's steps differ.

    Raises:
        UsageError: A region is malformed or lies outside the picture, or its weight is out of range.
    """
    finer = np.zeros((geometry.units_y, geometry.units_x), np.uint8)
    for region in regions:
        x, y, width, height, weight = _checked(geometry, region)
        rows = slice(y // UNIT, -(-(y + height) // UNIT))
        columns = slice(x // UNIT, -(-(x + width) // UNIT))
        indices = round(_INDICES_AN_OCTAVE * math.log2(weight))
        finer[rows, columns] = np.maximum(finer[rows, columns], indices)
    return finer.reshape(-1) if finer.any() else None


def _checked(geometry: Geometry, region: Sequence[float]) -> tuple[int, int, int, int, float]:
    if not 4 <= len(region) <= 5:
        raise UsageError(f"a region is x, y, width, height and perhaps a weight, not {_text(region)}")
    x, y, width, height = region[:4]
    weight = float(region[4]) if len(region) == 5 else DEFAULT_WEIGHT
    if not all(float(value).is_integer() for value in region[:4]) or min(x, y) < 0 or min(width, height) < 1:
        raise UsageError(
            f"the region {_text(region)} needs whole numbers: x and y from 0 up, width and height from 1 up"
        )
    if x >= geometry.width or y >= geometry.height:
        raise UsageError(
            f"the region {_text(region)} lies outside the picture of {geometry.width}x{geometry.height} pixels"
        )
    if not 1 <= weight <= MAX_WEIGHT:
        raise UsageError(f"a region's weight must be from 1 to {MAX_WEIGHT:.0f}, not {weight:g}")
    return int(x), int(y), int(width), int(height), weight


def _text(region: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in region)
