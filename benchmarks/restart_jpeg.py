"""JPEG for a lossy link: restart intervals in packets, and the best that can be done about lost ones."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from farlook.benchmarks.jpeg import encode_jpeg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_START_OF_SCAN, _END = b"\xff\xda", b"\xff\xd9"
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_COARSEST, _FINEST, _STEPS = 255.0, 0.001, 20
_GREY = 128


@dataclass(frozen=True)
class RestartJpeg:
    """A JPEG in pieces.

    Attributes:
        header: Everything before the scan's data; taken to arrive always.
        segments: The restart intervals' bytes, without the markers between them.
        interval: MCUs in each interval but the last.
        shape: The picture's.
    """

    header: bytes
    segments: tuple[bytes, ...]
    interval: int
    shape: tuple[int, ...]

    @classmethod
    def encode(cls, image: NDArray[np.uint8], budget: int, mtu: int) -> RestartJpeg | None:
        """The finest baseline JPEG, 4:2:0, optimised Huffman tables, of at most `budget` bytes, markers included.

        Its restart intervals are a row of MCUs, or a half, a quarter, ... of one, so that an average one takes
        no more than half of a packet: shorter ones cost more than they save.

        Returns:
            None if even the coarsest takes more than `budget`.
        """
        interval = interval_within(image.shape, budget, mtu)
        coarse, fine = _COARSEST, _FINEST
        best = _encoded(image, coarse, interval)
        if len(best) > budget:
            return None
        for _ in range(_STEPS):
            middle = math.sqrt(coarse * fine)
            data = _encoded(image, middle, interval)
            if len(data) <= budget:
                coarse, best = middle, data
            else:
                fine = middle
        return cls.split(best, interval, image.shape)

    @classmethod
    def split(cls, data: bytes, interval: int, shape: tuple[int, ...]) -> RestartJpeg:
        """Take a file apart."""
        start = data.index(_START_OF_SCAN)
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        segments = _RESTART.split(data[start : data.rindex(_END)])
        return cls(data[:start], tuple(segments), interval, shape)

    def packets(self, mtu: int) -> list[list[int]]:
        """The numbers of the segments in each packet, of at most `mtu` bytes with the markers before them.

        A segment longer than a packet takes several: it is named in each.
        """
        packets: list[list[int]] = [[]]
        room = mtu
        for number, segment in enumerate(self.segments):
            size = len(segment) + 2
            if size > room and packets[-1]:
                packets.append([])
                room = mtu
            packets[-1].append(number)
            while size > room:
                size -= room
                packets.append([number])
                room = mtu
            room -= size
        return packets

    def join(self, lost: Sequence[int]) -> bytes:
        """A file in which the `lost` segments are empty, so that all others stay in their place."""
        missing = set(lost)
        parts = [self.header]
        for number, segment in enumerate(self.segments):
            if number:
                parts.append(bytes([0xFF, 0xD0 + (number - 1) % 8]))
            parts.append(b"" if number in missing else segment)
        return b"".join(parts) + _END

    def decode(self, lost: Sequence[int]) -> NDArray[np.uint8]:
        """The picture without the `lost` segments, their blocks concealed."""
        image = np.array(Image.open(BytesIO(self.join(lost))))
        if lost:
            conceal(image, self.lost_units(lost))
        return image

    def lost_units(self, lost: Sequence[int]) -> NDArray[np.bool_]:
        """Which MCUs the `lost` segments hold: bool [rows, columns]."""
        rows, columns = units(self.shape)
        segment = np.arange(rows * columns) // self.interval
        return np.isin(segment, lost).reshape(rows, columns)


def units(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of MCUs: of 8x8 pixels in grey pictures, of 16x16 in 4:2:0 ones."""
    side = unit_side(len(shape) == 2)
    return -(-shape[0] // side), -(-shape[1] // side)


def unit_side(grey: bool) -> int:
    """The side of an MCU in pixels."""
    return 8 if grey else 16


def interval_within(shape: tuple[int, ...], budget: int, mtu: int) -> int:
    """MCUs of a restart interval that takes half a packet or less, if all took the same."""
    rows, columns = units(shape)
    parts = 1
    while 2 * budget / (rows * parts) > mtu and parts < columns:
        parts *= 2
    return -(-columns // parts)


def conceal(image: NDArray[np.uint8], lost: NDArray[np.bool_]) -> None:
    """Fill lost MCUs, column by column, by a line between the nearest pixels above and below, in place.

    Where there is a pixel on one side only, it is repeated; where there is none at all, the column is grey.
    """
    side = unit_side(image.ndim == 2)
    patterns, kinds = np.unique(lost, axis=1, return_inverse=True)
    for index, pattern in enumerate(patterns.T):
        gone = np.repeat(pattern, side)[: image.shape[0]]
        columns = np.repeat(kinds.ravel() == index, side)[: image.shape[1]]
        if gone.any():
            image[np.ix_(gone, columns)] = _lines(image[:, columns], gone)


def _lines(strip: NDArray[np.uint8], gone: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The rows of a strip that are gone, from those that are there."""
    there, wanted = np.flatnonzero(~gone), np.flatnonzero(gone)
    if not len(there):
        return np.full_like(strip, _GREY)
    next_one = np.searchsorted(there, wanted)
    above, below = there[np.maximum(next_one - 1, 0)], there[np.minimum(next_one, len(there) - 1)]
    above = np.where(next_one == 0, below, above)
    span = np.maximum(below - above, 1)
    weight = ((wanted - above) / span).clip(0, 1).reshape(-1, *[1] * (strip.ndim - 1))
    line = (1 - weight) * strip[above] + weight * strip[below]
    return np.asarray(np.rint(line), np.uint8)


def _encoded(image: NDArray[np.uint8], scale: float, interval: int) -> bytes:
    """A JPEG with the quantisation tables of `encode_jpeg` and restart markers."""
    with Image.open(BytesIO(encode_jpeg(image[:8, :8], scale, optimise=False))) as probe:
        tables = getattr(probe, "quantization", {})
    out = BytesIO()
    colour = {} if image.ndim == 2 else {"subsampling": "4:2:0"}
    Image.fromarray(image).save(
        out, "JPEG", qtables=tables, optimize=True, restart_marker_blocks=interval, **colour
    )
    return out.getvalue()
