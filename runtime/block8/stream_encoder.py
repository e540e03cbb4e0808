"""Encoding a frame while it comes in, row by row, as a push-broom scanner gives it: no frame is held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import UNIT, Encoder
from farlook.runtime.block8.job import joined
from farlook.runtime.block8.stream import PREAMBLE
from farlook.runtime.errors import ImageError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.kernels.block8 import Core, Geometry, Settings


class StreamEncoder:
    """Codes a picture of a known size from rows of pixels; `Block8Codec.stream_encoder` makes one.

        encoder = codec.stream_encoder(16384, 4096, quality=40)
        for line in scanner:
            downlink.send(encoder.push(line))
        encoder.finish()

    All bytes joined are the stream that `encode` would make, if that has more than one packet.

    Attributes:
        memory_bytes: Working memory, all that is held of the picture.
    """

    def __init__(self, core: Core, geometry: Geometry, settings: Settings) -> None:
        self._geometry = geometry
        self._shape = (geometry.width,) if geometry.bands == 1 else (geometry.width, geometry.bands)
        self._type: type[np.unsignedinteger[Any]] = np.uint8 if geometry.depth == 8 else np.uint16
        self._encoder = Encoder(core, 0, geometry.units_y, settings)
        self._row = 0
        self._begun = False
        self.memory_bytes = self._encoder.memory_bytes

    def push(self, rows: NDArray[Any]) -> bytes:
        """Take the next rows of pixels.

        Args:
            rows: [rows, width], or [rows, width, 3] for RGB, in any number; uint8, or uint16 if the depth is
                above 8. One row may come as [width] or [width, 3].

        Returns:
            The packets that became whole by them, often none; the first with the stream's preamble.

        Raises:
            ImageError: The rows are of another width or type, or have samples of more bits than the depth.
            UsageError: They are more than the picture has.
        """
        rows = self._checked(rows)
        # A row of units at a time: there must be room for what becomes whole.
        pieces = [rows[begin : begin + UNIT] for begin in range(0, len(rows), UNIT)]
        packets = b"".join([joined(self._encoder.push(piece)) for piece in pieces])
        self._row += len(rows)
        if self._begun or not packets:
            return packets
        self._begun = True
        return PREAMBLE + packets

    def finish(self) -> bytes:
        """Say that all rows have been pushed.

        Returns:
            What is left of the stream: nothing, for the last row ended it.

        Raises:
            UsageError: Rows are missing.
        """
        if self._row < self._geometry.height:
            raise UsageError(
                f"the picture has {self._geometry.height} rows, but only {self._row} were pushed: push all, then finish"
            )
        return b""

    def _checked(self, rows: NDArray[Any]) -> NDArray[Any]:
        array = np.asarray(rows)
        if array.shape == self._shape:
            array = array[None]
        if array.dtype != self._type or array.shape[1:] != self._shape:
            raise ImageError(
                f"rows of this picture are {self._type.__name__} [rows, {', '.join(map(str, self._shape))}], "
                f"not {array.dtype} {list(array.shape)}"
            )
        if self._row + len(array) > self._geometry.height:
            raise UsageError(
                f"the picture has {self._geometry.height} rows, but {self._row + len(array)} were pushed"
            )
        if self._geometry.depth in range(9, 16) and array.size and int(array.max()) >> self._geometry.depth:
            raise ImageError(f"rows have samples up to {array.max()}, more than {self._geometry.depth} bits")
        return np.ascontiguousarray(array)
