"""Coefficients as block8's ONNX graphs have them, on grids of blocks, and as the C core has them: stores and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import UNIT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Geometry

    Grid = NDArray[np.int16]

_LUMA, _CHROMA = 4, 2
"""Blocks along a unit's side."""


def grids_of(store: Grid, geometry: Geometry) -> list[Grid]:
    """A store as grids.

    Args:
        store: int16 [units, 1536], as `Core.store_rows` makes it of a whole picture.
        geometry: The picture's.

    Returns:
        Luma, int16 [64, block rows, block columns], and of RGB chroma, [128, block rows, block columns]: channel
        8 u + v is the coefficient of frequency u across and v down, of Cr 64 more.
    """
    columns = store.reshape(geometry.units_y, geometry.units_x, _LUMA + _CHROMA, 8, 32)
    luma = columns[:, :, :_LUMA].reshape(*columns.shape[:2], _LUMA, 8, _LUMA, 8).transpose(3, 5, 0, 4, 1, 2)
    chroma = columns[:, :, _LUMA:].reshape(*columns.shape[:2], _CHROMA, 8, 2, _CHROMA, 8)
    chroma = chroma.transpose(4, 3, 6, 0, 5, 1, 2)
    found = []
    for plane, grid in enumerate((luma, chroma)[: 1 if geometry.bands == 1 else 2]):
        rows, blocks = geometry.blocks(plane)
        sides = (geometry.units_y * grid.shape[-3], geometry.units_x * grid.shape[-1])
        found.append(grid.reshape(-1, *sides)[:, :rows, :blocks])
    return found


def grids_of_lists(coefficients: Coefficients) -> list[Grid]:
    """What the C core decoded as grids, as `grids_of` gives them."""
    geometry, blocks = coefficients.geometry, len(coefficients.means)
    _, entries = coefficients.lists()
    owners = np.repeat(np.arange(blocks), coefficients.counts)
    places = entries >> 16
    dense = np.zeros((64, blocks), np.int16)
    dense[0] = coefficients.means
    dense[(places >> 5) * 8 + (places & 7), owners] = entries.astype(np.uint16).view(np.int16)
    sizes = [geometry.blocks(plane) for plane in range(geometry.bands)]
    ends = np.cumsum([rows * columns for rows, columns in sizes])[:-1]
    planes = [
        part.reshape(64, *size) for part, size in zip(np.split(dense, ends, axis=1), sizes, strict=True)
    ]
    return [planes[0], np.concatenate(planes[1:])] if geometry.bands == 3 else planes


def store_of_grids(grids: Sequence[NDArray[np.number]], geometry: Geometry) -> Grid:
    """Undo `grids_of`: rounds to whole numbers, holds them within 16 bits, and leaves 0 where no block is."""
    store = np.zeros((geometry.units, UNIT_SAMPLES), np.int16)
    bounds = np.iinfo(np.int16)
    padded = _blank(geometry)
    for whole, grid in zip(padded, grids, strict=True):
        whole[:, : grid.shape[1], : grid.shape[2]] = np.clip(np.rint(grid), bounds.min, bounds.max)
    columns = store.reshape(geometry.units_y, geometry.units_x, _LUMA + _CHROMA, 8, 32)
    luma = padded[0].reshape(8, 8, geometry.units_y, _LUMA, geometry.units_x, _LUMA)
    columns[:, :, :_LUMA] = luma.transpose(2, 4, 5, 0, 3, 1).reshape(columns[:, :, :_LUMA].shape)
    if geometry.bands == 3:
        chroma = padded[1].reshape(2, 8, 8, geometry.units_y, _CHROMA, geometry.units_x, _CHROMA)
        columns[:, :, _LUMA:] = chroma.transpose(3, 5, 6, 1, 0, 4, 2).reshape(columns[:, :, _LUMA:].shape)
    return store


def _blank(geometry: Geometry) -> list[Grid]:
    """Grids of zeros of whole units."""
    sides = ((64, _LUMA), (128, _CHROMA))[: 1 if geometry.bands == 1 else 2]
    return [np.zeros((n, geometry.units_y * side, geometry.units_x * side), np.int16) for n, side in sides]
