"""Two ends of one description: a layout names what comes next, and a port writes it or reads it.

A layout walks through its symbols once, in stream order. At each step it hands the port a batch: which
cells are coded, with which tables, and, when encoding, the values. The port returns the values. Because
encoder and decoder share that walk, they cannot disagree about the bitstream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from farlook.kernels.prefix import PrefixReader
from farlook.runtime.errors import BundleError, CorruptStreamError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.kernels.prefix import PrefixBook


class Port(Protocol):
    """Codes batches of values of several tiles side by side."""

    def code(
        self, mask: NDArray[np.bool_], tables: NDArray[np.uint16], values: NDArray[np.uint32] | None
    ) -> NDArray[np.uint32]:
        """Code one batch.

        Args:
            mask: Cells that take part, shape [tiles, ...].
            tables: The table of each, in the order of `mask`'s set cells, shape [cells].
            values: What to write, shape [cells]; None when reading.

        Returns:
            The values, shape [cells].
        """


class Recorder:
    """A port that keeps what it is given: sizes at once, bytes when asked."""

    def __init__(self, tiles: int, book: PrefixBook) -> None:
        self._tiles = tiles
        self._book = book
        self._batches: list[tuple[NDArray[np.intp], NDArray[np.uint16], NDArray[np.uint32]]] = []

    def code(
        self, mask: NDArray[np.bool_], tables: NDArray[np.uint16], values: NDArray[np.uint32] | None
    ) -> NDArray[np.uint32]:
        """Record one batch; see `Port.code`."""
        if values is None:
            raise ValueError("an encoder needs values")
        self._batches.append((np.nonzero(mask)[0], tables, values))
        return values

    def sizes(self) -> NDArray[np.int64]:
        """Bytes that each tile takes, int64, shape [tiles]."""
        bits = np.zeros(self._tiles, dtype=np.int64)
        for tile, tables, values in self._batches:
            bits += np.bincount(tile, self._book.bits(values, tables), self._tiles).astype(np.int64)
        return -(-bits // 8)

    def payloads(self) -> list[bytes]:
        """The coded bytes of each tile.

        Raises:
            BundleError: A table has no code word for one of its values.
        """
        tile = np.concatenate([batch[0] for batch in self._batches])
        order = np.argsort(tile, kind="stable")
        tables = np.concatenate([batch[1] for batch in self._batches])[order]
        values = np.concatenate([batch[2] for batch in self._batches])[order]
        ends = np.cumsum(np.bincount(tile, minlength=self._tiles))
        starts = np.concatenate([[0], ends[:-1]])
        try:
            return [
                self._book.encode(values[start:end], tables[start:end])
                for start, end in zip(starts, ends, strict=True)
            ]
        except ValueError as error:
            raise BundleError(f"the bundle's tables cannot code this picture: {error}") from error


class Player:
    """A port that reads from coded tiles."""

    def __init__(self, payloads: list[bytes], book: PrefixBook) -> None:
        self._book = book
        self._reader = PrefixReader(payloads)

    def code(
        self, mask: NDArray[np.bool_], tables: NDArray[np.uint16], values: NDArray[np.uint32] | None
    ) -> NDArray[np.uint32]:
        """Read one batch; see `Port.code`.

        Raises:
            CorruptStreamError: A payload ends early or holds no code word.
        """
        del values
        counts = mask.reshape(mask.shape[0], -1).sum(axis=1, dtype=np.uint32)
        try:
            return self._reader.read(self._book, counts, tables)
        except (EOFError, ValueError) as error:
            raise CorruptStreamError(
                f"a packet passes its checksum but cannot be decoded: {error}"
            ) from error

    def finish(self) -> None:
        """Check that nothing is left over.

        Raises:
            CorruptStreamError: A payload is longer than what it codes.
        """
        try:
            self._reader.finish()
        except ValueError as error:
            raise CorruptStreamError(
                f"a packet passes its checksum but cannot be decoded: {error}"
            ) from error
