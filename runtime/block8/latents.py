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
_UNIT = 4.0
"""Latents are four times the coefficients of an orthonormal DCT."""


def luma_latents(coefficients: Coefficients) -> NDArray[np.int16]:
    """Luma's coefficients in the unit of the stream, four times those of an orthonormal DCT of 8-bit levels.

    Args:
        coefficients: Decoded; what is lost is concealed.

    Returns:
        int16 [64, block rows, block columns]; channel 8 u + v is the coefficient of frequency u across and v down.
    """
    rows, columns = coefficients.geometry.blocks(0)
    blocks = rows * columns
    grid = np.zeros((LATENTS, blocks), np.int16)
    grid[0] = coefficients.means[:blocks]
    counts = coefficients.counts[:blocks].astype(np.int64)
    total = int(counts.sum())
    if total:
        owners = np.repeat(np.arange(blocks), counts)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = coefficients.entries[coefficients.starts[owners].astype(np.int64) + within]
        places = entries >> 16
        grid[(places >> 5) * 8 + (places & 7), owners] = entries.astype(np.uint16).view(np.int16)
    return grid.reshape(LATENTS, rows, columns)


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
    least = _least(luma_latents(coefficients)) / np.float32(_UNIT)
    rows, columns = geometry.units_y * _UNIT_BLOCKS, geometry.units_x * _UNIT_BLOCKS
    padded = np.full((rows, columns), np.inf, np.float32)
    padded[: least.shape[0], : least.shape[1]] = least
    tiled = padded.reshape(geometry.units_y, _UNIT_BLOCKS, geometry.units_x, _UNIT_BLOCKS)
    steps = tiled.min(axis=(1, 3)).reshape(-1)
    found = np.isfinite(steps)
    if progressive and found.any():
        usual = float(np.median(steps[found]))
    return np.where(found, steps, np.float32(usual)).astype(np.float32)


def _least(latents: NDArray[np.int16]) -> NDArray[np.float32]:
    """The least magnitude of a block's coefficients but its mean that is not 0; infinite if there is none."""
    magnitudes = np.abs(latents[1:].astype(np.float32))
    least: NDArray[np.float32] = np.where(magnitudes > 0, magnitudes, np.float32(np.inf)).min(axis=0)
    return least
