"""What block8's coder met in pictures: the decisions of every block, with their contexts, as arrays.

The C core's decoder writes a record for each block (`b8_trace`); here the records become one `BlockData` a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Coefficients, Core, Geometry
from farlook.kernels.block8_tables import GROUPS, SIDES
from farlook.runtime.block8.stream import read_packet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_HEAD = 6
_ROOTS = (4, 5)
_SKIP = 6
_CHANGE = 7
_KNOWN = 64
_INTERLEAVED = 4
"""All but every fourth picture are coded with interleaved packets, as encoders do unless told otherwise."""


@dataclass(frozen=True)
class BlockData:
    """Blocks of one model, n of them.

    Attributes:
        rows: uint16 [r], the rows of the table that each block's contexts name, one block after the other.
        row_starts: int64 [n], where each block's begin.
        signs: uint16 [s], rows of the table of signs; bit 15: taken negatively.
        sign_starts: int64 [n].
        levels: int16 [n, side^2], by place in the scan; column 0 is not used.
        known: bool, of the same shape, of blocks that are refined: places of which nothing is decided. The levels
            there were known before, and are contexts, or are 0.
    """

    rows: NDArray[np.uint16]
    row_starts: NDArray[np.int64]
    signs: NDArray[np.uint16]
    sign_starts: NDArray[np.int64]
    levels: NDArray[np.int16]
    known: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class PictureData:
    """All that was met.

    Attributes:
        blocks: A model each.
        roots: Of luma and chroma: int32 [n, 2], context and residual.
        skips: int32 [n, 2], context and whether the unit was skipped.
        changes: int32 [n, 2], of levels and roots that are refined: context and next bit.
    """

    blocks: tuple[BlockData, ...]
    roots: tuple[NDArray[np.int32], ...]
    skips: NDArray[np.int32]
    changes: NDArray[np.int32]


def trace_pictures(
    core: Core, pictures: Iterable[NDArray[np.uint8]], step: int, mtu: int = 1024
) -> PictureData:
    """Code pictures with a step and gather what the coder met."""
    logs = []
    for number, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        geometry = Geometry(width, height, 1 if picture.ndim == 2 else 3, 8)
        apart = number % _INTERLEAVED != 0
        settings = core.settings(geometry, step=step, mtu=mtu, interleave=apart)
        framed = core.encode_rows(picture, 0, geometry.units_y, settings)
        packets = [read_packet(packet.data, settings.header) for packet in framed]
        log = np.empty(64 * picture.size + 4096, np.uint16)
        used = core.decode(geometry, packets, Coefficients(geometry), interleaved=apart, trace=log)
        logs.append(log[:used].copy())
    return gather(np.concatenate(logs))


def gather(log: NDArray[np.uint16], *, refined: bool = False) -> PictureData:
    """What records say; those of layers that refine hold more."""
    starts = _record_starts(log)
    models = log[starts + 1]
    blocks = tuple(
        _block_data(log, starts[models == model], SIDES[model], refined) for model in range(len(GROUPS))
    )
    roots = tuple(_pairs(log, starts[models == model]) for model in _ROOTS)
    skips, changes = (_pairs(log, starts[models == model]) for model in (_SKIP, _CHANGE))
    return PictureData(blocks, roots, skips, changes)


def _record_starts(log: NDArray[np.uint16]) -> NDArray[np.int64]:
    starts, at, words = [], 0, log.tobytes()
    view = memoryview(words).cast("H")
    while at < len(log):
        starts.append(at)
        at += view[at]
    return np.array(starts, np.int64)


def _pairs(log: NDArray[np.uint16], starts: NDArray[np.int64]) -> NDArray[np.int32]:
    where = starts + _HEAD
    return np.stack([log[where].astype(np.int32), log[where + 1].view(np.int16).astype(np.int32)], axis=1)


def _block_data(log: NDArray[np.uint16], starts: NDArray[np.int64], side: int, refined: bool) -> BlockData:
    row_counts, sign_counts, counts = (log[starts + field].astype(np.int64) for field in (3, 4, 5))
    rows, row_starts = _ragged(log, starts + _HEAD, row_counts)
    signs, sign_starts = _ragged(log, starts + _HEAD + row_counts, sign_counts)
    pairs, _ = _ragged(log, starts + _HEAD + row_counts + sign_counts, 2 * counts)
    levels = np.zeros((len(starts), side * side), np.int16)
    owners = np.repeat(np.arange(len(starts)), counts)
    places = pairs[0::2] & (_KNOWN - 1)
    levels[owners, places] = pairs[1::2].view(np.int16)
    if not refined:
        return BlockData(rows, row_starts, signs, sign_starts, levels)
    known = np.zeros(levels.shape, bool)
    known[owners, places] = (pairs[0::2] & _KNOWN) != 0
    return BlockData(rows, row_starts, signs, sign_starts, levels, known)


def _ragged(
    log: NDArray[np.uint16], begins: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Pieces of `log`, joined, and where each begins in the result."""
    ends = np.cumsum(counts)
    starts = ends - counts
    index = np.repeat(begins - starts, counts) + np.arange(ends[-1] if len(ends) else 0)
    return np.ascontiguousarray(log[index]), starts
