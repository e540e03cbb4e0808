"""Pictures from what is left of a stream: units that are lost are filled in smoothly from their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import CorruptStreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Core, Geometry, Packet
    from farlook.runtime.block8.stream import Header

_BLOCK = 8
_BLOCKS_OF_UNIT = (4, 2, 2)
"""Blocks along a unit's side, by plane."""

_SWEEPS = 32
"""Of relaxation, on every level of the pyramid: lost units are mostly few blocks high."""


@dataclass(frozen=True)
class LossyPicture:
    """What could be made of the packets that are there.

    Attributes:
        image: uint8 or uint16, [height, width] or [height, width, 3]; lost units are filled in.
        concealed: bool [block rows, block columns], the 8x8 blocks of pixels that were filled in.
        units: Units of 32x32 pixels that the picture has.
        lost_units: How many of them were filled in.
        packets: Whole packets that were found.
    """

    image: NDArray[Any]
    concealed: NDArray[np.bool_]
    units: int
    lost_units: int
    packets: int

    @property
    def mask(self) -> NDArray[np.uint8]:
        """The blocks that were filled in as a picture: uint8 [height, width], 255 there and 0 elsewhere."""
        height, width = self.image.shape[:2]
        pixels = self.concealed.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
        return np.where(pixels[:height, :width], 255, 0).astype(np.uint8)


def decode_each(core: Core, header: Header, packets: Sequence[Packet], coefficients: Coefficients) -> None:
    """Decode packets of the layout "tiles"; one that no encoder writes counts as lost, and costs no other."""
    if not packets:
        return
    try:
        core.decode(
            header.geometry,
            packets,
            coefficients,
            has_finer=header.has_finer,
            interleaved=header.interleaved,
        )
        return
    except CorruptStreamError:
        if len(packets) == 1:
            return
    for packet in packets:
        decode_each(core, header, [packet], coefficients)


def conceal(coefficients: Coefficients) -> NDArray[np.bool_]:
    """Fill in the units that are not known, in place: block means from their neighbours, and nothing else.

    Returns:
        bool [block rows, block columns] of luma: the blocks that were filled in.
    """
    geometry = coefficients.geometry
    concealed = ~_known_blocks(coefficients, geometry, 0)
    begin = 0
    for plane in range(geometry.bands):
        shape = geometry.blocks(plane)
        end = begin + shape[0] * shape[1]
        known = _known_blocks(coefficients, geometry, plane)
        if not known.all():
            means = coefficients.means[begin:end].reshape(shape)
            filled = fill_in(means.astype(np.float32), known)
            means[~known] = np.rint(filled[~known]).clip(-32768, 32767)
            coefficients.counts[begin:end][~known.reshape(-1)] = 0
        begin = end
    return concealed


def fill_in(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values where they are not known: each the mean of its neighbours, those above and below counting twice.

    So it suits runs of lost units along a row, as packets that are not interleaved leave them; for interleaved ones
    equal weights measured the same.

    Args:
        values: float32 [rows, columns].
        known: bool, of the same shape.

    Returns:
        float32 [rows, columns]; 0 everywhere if nothing is known.
    """
    if known.all():
        return values
    if not known.any():
        return np.zeros_like(values)
    coarse_known = _quarter(known.astype(np.float32))
    means = _quarter(np.where(known, values, 0)) / np.maximum(coarse_known, np.float32(1e-9))
    coarse = fill_in(means.astype(np.float32), coarse_known > 0)
    start = coarse.repeat(2, axis=0).repeat(2, axis=1)[: values.shape[0], : values.shape[1]]
    filled = np.where(known, values, start)
    for _ in range(_SWEEPS):
        rim = np.pad(filled, 1, mode="edge")
        above_and_below = rim[:-2, 1:-1] + rim[2:, 1:-1]
        mean = (2 * above_and_below + rim[1:-1, :-2] + rim[1:-1, 2:]) / 6
        filled = np.where(known, values, mean)
    return filled


def _quarter(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of squares of 2x2, with zeros beyond the edges."""
    rows, columns = (-(-side // 2) for side in values.shape)
    padded = np.zeros((2 * rows, 2 * columns), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    means: NDArray[np.float32] = padded.reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return means


def _known_blocks(coefficients: Coefficients, geometry: Geometry, plane: int) -> NDArray[np.bool_]:
    """Which blocks of a plane are of known units: bool [block rows, block columns]."""
    rows, columns = geometry.blocks(plane)
    side = _BLOCKS_OF_UNIT[plane]
    units = coefficients.known.reshape(geometry.units_y, geometry.units_x)
    known: NDArray[np.bool_] = units.repeat(side, axis=0).repeat(side, axis=1)[:rows, :columns] != 0
    return known
