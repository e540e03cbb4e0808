"""Numbers to bytes and back: asymmetric numeral systems by the C99 core, with tables of integers.

A batch is coded sorted by table: first the numbers within their tables' reach, then, for those beyond it, how many
bits they have and those bits. What is written last is read first, so batches are kept until the end.

Probabilities are whole numbers of 2^-16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.ans import ANS_BITS, AnsDecoder, AnsEncoder, AnsTables
from farlook.runtime.errors import CorruptStreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Longs = NDArray[np.int64]

PROBABILITY_BITS = 16
MAX_TABLES = 4096
MAX_REACH = 1023

_FINER = 1 << (ANS_BITS - PROBABILITY_BITS)
_ESCAPE_BITS = 20
"""Numbers beyond a table's reach have fewer bits than this beyond it."""
_POWERS = 1 << np.arange(1, _ESCAPE_BITS, dtype=np.int64)
_WORD = 4


class Tables:
    """Distributions over -reach, ..., reach and "beyond".

    Args:
        rows: For each table 2 reach + 2 probabilities of at least 1, 65536 in sum.

    Raises:
        ValueError: The rows are not such.
    """

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        if not 0 < len(rows) <= MAX_TABLES:
            raise ValueError(f"there are {len(rows)} tables")
        self.rows = [_checked(row) for row in rows]
        self.reach = np.array([len(row) // 2 - 1 for row in rows], dtype=np.int64)
        self.book = AnsTables([row * _FINER for row in self.rows])


class Writer:
    """A port that keeps what it is given until all is there."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._batches: list[tuple[Longs, Longs]] = []

    def code(self, tables: Longs, values: Longs | None) -> Longs:
        """Take a batch; see `farlook.runtime.neural.contexts.Port`."""
        if values is None:
            raise ValueError("an encoder needs values")
        self._batches.append((tables, values))
        return values

    def payload(self) -> bytes:
        """All batches as bytes; the last of them is not 0."""
        coder = AnsEncoder()
        for tables, values in reversed(self._batches):
            self._write(coder, tables, values)
        return bytes(coder.words().astype("<u4").tobytes().rstrip(b"\0"))

    def _write(self, coder: AnsEncoder, tables: Longs, values: Longs) -> None:
        order = np.argsort(tables, kind="stable")
        tables, values = tables[order], values[order]
        reach = self._tables.reach[tables]
        beyond = np.abs(values) > reach
        if beyond.any():
            self._write_beyond(coder, _folded(values[beyond], reach[beyond]))
        indices = np.where(beyond, 2 * reach + 1, values + reach).astype(np.int32)
        coder.encode(indices, tables.astype(np.int32), self._tables.book)

    def _write_beyond(self, coder: AnsEncoder, numbers: Longs) -> None:
        bits = np.searchsorted(_POWERS, numbers, side="right")
        for size in range(_ESCAPE_BITS - 1, 0, -1):
            chosen = numbers[bits == size] - (1 << size)
            if chosen.size:
                coder.encode_uniform(chosen.astype(np.int32), 1 << size)
        coder.encode_uniform(bits.astype(np.int32), _ESCAPE_BITS)


class Reader:
    """A port that reads from a payload.

    Raises:
        CorruptStreamError: The payload ends in 0, as no encoder writes it.
    """

    def __init__(self, tables: Tables, payload: bytes) -> None:
        if payload.endswith(b"\0"):
            raise CorruptStreamError("a packet passes its checksum but cannot be decoded: it ends in 0")
        self._tables = tables
        words = np.frombuffer(payload + bytes(-len(payload) % _WORD), dtype="<u4")
        self._coder = AnsDecoder(words.astype(np.uint32))

    def code(self, tables: Longs, values: Longs | None) -> Longs:
        """Read a batch; see `farlook.runtime.neural.contexts.Port`."""
        del values
        order = np.argsort(tables, kind="stable")
        tables = tables[order]
        reach = self._tables.reach[tables]
        found = self._coder.decode(tables.astype(np.int32), self._tables.book) - reach
        beyond = found > reach
        if beyond.any():
            found[beyond] = _unfolded(self._read_beyond(int(beyond.sum())), reach[beyond])
        values = np.empty_like(found)
        values[order] = found
        return values

    def _read_beyond(self, count: int) -> Longs:
        bits = self._coder.decode_uniform(count, _ESCAPE_BITS)
        numbers = np.ones(count, dtype=np.int64)
        for size in range(1, _ESCAPE_BITS):
            chosen = bits == size
            if chosen.any():
                rest = self._coder.decode_uniform(int(chosen.sum()), 1 << size)
                numbers[chosen] = rest.astype(np.int64) + (1 << size)
        return numbers

    def finish(self) -> None:
        """Check that nothing is left over.

        Raises:
            CorruptStreamError: The payload is longer than what it codes, or otherwise not what an encoder writes.
        """
        if not self._coder.empty:
            raise CorruptStreamError(
                "a packet passes its checksum but cannot be decoded: something is left of it"
            )


def _checked(row: Sequence[int]) -> NDArray[np.int64]:
    probabilities = np.array(row, dtype=np.int64)
    if len(row) % 2 or not 2 <= len(row) <= 2 * MAX_REACH + 2 or probabilities.ndim != 1:
        raise ValueError(f"a table has {len(row)} probabilities")
    if probabilities.min() < 1 or int(probabilities.sum()) != 1 << PROBABILITY_BITS:
        raise ValueError(
            f"the probabilities of a table are not positive or not {1 << PROBABILITY_BITS} in sum"
        )
    return probabilities


def _folded(values: Longs, reach: Longs) -> Longs:
    """Numbers beyond their reach as 1, 2, 3, ...: the positive and the negative in turn."""
    return 2 * (np.abs(values) - reach) - (values > 0)


def _unfolded(numbers: Longs, reach: Longs) -> Longs:
    sizes = reach + (numbers + 1) // 2
    return np.where(numbers % 2 == 1, sizes, -sizes)
