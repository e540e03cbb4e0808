"""What a network on the ground is told of a decoded stream: coefficients on a grid, and which blocks are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import step_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Packet
    from farlook.runtime.block8.stream import Header

LATENTS = 64
"""Coefficients of a block."""

_UNIT_BLOCKS = 4
_BAND_UNITS = 4
"""Rows of units whose latents are held at once."""

_UNIT = 4.0
"""Latents are four times the coefficients of an orthonormal DCT."""


def luma_latents(coefficients: Coefficients, rows: tuple[int, int] | None = None) -> NDArray[np.int16]:
    """Luma's coefficients in the unit of the stream, four times those of an orthonormal DCT of 8-bit levels.

    Args:
        coefficients: Decoded; what is lost is concealed.
        rows: Block rows [begin, end) that are wanted, within the picture's; all if not given, which takes 2 bytes a
            pixel and more while it works.

    Returns:
        int16 [64, block rows, block columns]; channel 8 u + v is the coefficient of frequency u across and v down.
    """
    every, columns = coefficients.geometry.blocks(0)
    begin, end = (0, every) if rows is None else rows
    chosen = slice(begin * columns, end * columns)
    blocks = (end - begin) * columns
    grid = np.zeros((LATENTS, blocks), np.int16)
    grid[0] = coefficients.means[chosen]
    counts = coefficients.counts[chosen].astype(np.int64)
    total = int(counts.sum())
    if total:
        owners = np.repeat(np.arange(blocks), counts)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = coefficients.entries[coefficients.starts[chosen][owners].astype(np.int64) + within]
        places = entries >> 16
        grid[(places >> 5) * 8 + (places & 7), owners] = entries.astype(np.uint16).view(np.int16)
    return grid.reshape(LATENTS, end - begin, columns)


def blocks_of_units(values: NDArray[np.generic], coefficients: Coefficients) -> NDArray[np.generic]:
    """A value a unit, [units], as one a block of luma, [block rows, block columns]."""
    geometry = coefficients.geometry
    rows, columns = geometry.blocks(0)
    units = values.reshape(geometry.units_y, geometry.units_x)
    return units.repeat(_UNIT_BLOCKS, axis=0).repeat(_UNIT_BLOCKS, axis=1)[:rows, :columns]


def unit_steps(coefficients: Coefficients, header: Header, packets: Sequence[Packet]) -> NDArray[np.float32]:
    """Luma's step of every unit, in levels of an orthonormal DCT.

    Where units may have steps of their own, a unit's is read from its coefficients: the least that is not 0 is a
    step. Units without any count as coded with the header's step; in a progressive stream, which may be cut, with
    that of most units.

    Args:
        coefficients: Decoded.
        header: The stream's.
        packets: Its packets, those that are there.

    Returns:
        float32 [units].
    """
    geometry = coefficients.geometry
    usual = step_size(header.step)
    progressive = header.layout == "progressive"
    if not (progressive or header.has_finer or any(packet.step != header.step for packet in packets)):
        return np.full(geometry.units, usual, np.float32)
    steps = _least_of_units(coefficients) / np.float32(_UNIT)
    found = np.isfinite(steps)
    if progressive and found.any():
        usual = float(np.median(steps[found]))
    return np.where(found, steps, np.float32(usual)).astype(np.float32)


def _least_of_units(coefficients: Coefficients) -> NDArray[np.float32]:
    """The least magnitude of a unit's coefficients but means that is not 0; infinite if there is none: [units].

    A band of rows after another, so that what is held does not grow with the picture's height.
    """
    geometry = coefficients.geometry
    every, columns = geometry.blocks(0)
    found = np.full((geometry.units_y, geometry.units_x * _UNIT_BLOCKS), np.inf, np.float32)
    for first in range(0, geometry.units_y, _BAND_UNITS):
        begin, end = first * _UNIT_BLOCKS, min((first + _BAND_UNITS) * _UNIT_BLOCKS, every)
        least = _least(luma_latents(coefficients, (begin, end)))
        found[first : first + _BAND_UNITS, :columns] = np.minimum.reduceat(
            least, np.arange(0, end - begin, _UNIT_BLOCKS)
        )
    least_of_units: NDArray[np.float32] = found.reshape(geometry.units, _UNIT_BLOCKS).min(axis=1)
    return least_of_units


def _least(latents: NDArray[np.int16]) -> NDArray[np.float32]:
    """The least magnitude of a block's coefficients but its mean that is not 0; infinite if there is none."""
    magnitudes = np.abs(latents[1:].astype(np.float32))
    least: NDArray[np.float32] = np.where(magnitudes > 0, magnitudes, np.float32(np.inf)).min(axis=0)
    return least
