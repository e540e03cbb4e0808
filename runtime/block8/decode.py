"""From packets to a picture: coefficients, then pixels, both in parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import Coefficients, slice_rows
from farlook.runtime.block8.threads import in_order
from farlook.runtime.errors import TruncatedStreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Core, Geometry, Packet
    from farlook.runtime.block8.stream import Header


GROUPS, _BANDS = 8, 2
"""Groups of packets, and bands of rows, for each thread."""


def check_plausible(header: Header, packets: Sequence[Packet]) -> None:
    """Refuse a stream whose packets cannot hold the picture that its header claims; takes no memory.

    Raises:
        TruncatedStreamError: They cannot.
    """
    most = slice_rows(header.geometry) * header.geometry.units_x
    if any(packet.count > most for packet in packets):
        raise TruncatedStreamError("a packet of the stream claims more units than a packet holds")


def decode_tiles(core: Core, header: Header, packets: Sequence[Packet], threads: int) -> Coefficients:
    """Decode packets of the layout "tiles", in parallel.

    Raises:
        CorruptStreamError: One holds what no encoder writes.
    """
    coefficients = Coefficients(header.geometry)

    def work(group: Sequence[Packet]) -> None:
        core.decode(
            header.geometry,
            group,
            coefficients,
            has_finer=header.has_finer,
            interleaved=header.interleaved,
        )

    for _ in in_order(work, groups_of(packets, GROUPS * threads), threads):
        pass
    return coefficients


def synthesise(core: Core, header: Header, coefficients: Coefficients, threads: int) -> NDArray[Any]:
    """The picture of coefficients: uint8, or uint16 if the depth is above 8.

    Returns:
        [height, width] or [height, width, 3].
    """
    geometry = header.geometry
    shape = (geometry.height, geometry.width, *([3] if geometry.bands == 3 else []))
    image: NDArray[Any] = np.empty(shape, np.uint8 if geometry.depth == 8 else np.uint16)

    def work(rows: tuple[int, int]) -> None:
        core.synthesise(geometry, *rows, coefficients, image)

    for _ in in_order(work, _bands_of(geometry, 1 if threads == 1 else _BANDS * threads), threads):
        pass
    return image


def _bands_of(geometry: Geometry, count: int) -> list[tuple[int, int]]:
    """At most `count` bands of rows of units [begin, end): each rebuilds the row before its own, too."""
    size = -(-geometry.units_y // count)
    return [(begin, min(begin + size, geometry.units_y)) for begin in range(0, geometry.units_y, size)]


def groups_of(packets: Sequence[Packet], count: int) -> list[Sequence[Packet]]:
    """At most `count` runs of packets, to be decoded in parallel."""
    size = max(-(-len(packets) // count), 1)
    return [packets[at : at + size] for at in range(0, len(packets), size)]
