"""Canonical prefix codes over arrays: tables of code word lengths, packed and unpacked by the C99 core."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels._native import ffi, lib

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BITS = int(lib.FL_MAX_BITS)
MAX_VALUE = int(lib.FL_MAX_VALUE)


@dataclass(frozen=True)
class PrefixBook:
    """A set of canonical prefix codes ("tables") over non-negative integers.

    Within a table, code words are assigned in order of (length, symbol), as in RFC 1951 section 3.2.2.
    A value of `escapes[t]` or more is coded as that table's escape word and the Elias gamma code of
    `value - escape + 1`.

    Args:
        lengths: Code word lengths in bits, uint8, shape [tables, symbols]; 0 means no code word.
        escapes: The escape symbol of each table, uint16, shape [tables]; its length may be 0 in a
            table that never escapes.

    Raises:
        ValueError: A length above 12 bits, a code that is not a prefix code, or an escape outside its row.
    """

    lengths: NDArray[np.uint8]
    escapes: NDArray[np.uint16]
    words: NDArray[np.uint16] = field(init=False, repr=False)
    lookup: NDArray[np.uint16] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        lengths = np.ascontiguousarray(self.lengths, dtype=np.uint8)
        escapes = np.ascontiguousarray(self.escapes, dtype=np.uint16)
        if lengths.ndim != 2 or escapes.shape != lengths.shape[:1]:
            raise ValueError(f"lengths {lengths.shape} and escapes {escapes.shape} do not belong together")
        if lengths.shape[1] > 1 << MAX_BITS:
            raise ValueError(f"{lengths.shape[1]} symbols do not fit code words of {MAX_BITS} bits")
        if lengths.max(initial=0) > MAX_BITS or escapes.max(initial=0) >= max(lengths.shape[1], 1):
            raise ValueError(
                f"a code word is longer than {MAX_BITS} bits, or an escape lies outside its table"
            )
        words = np.zeros(lengths.shape, dtype=np.uint16)
        lookup = np.zeros((lengths.shape[0], 1 << MAX_BITS), dtype=np.uint16)
        for row in range(lengths.shape[0]):
            _assign(lengths[row], words[row], lookup[row])
        for name, value in (("lengths", lengths), ("escapes", escapes), ("words", words), ("lookup", lookup)):
            object.__setattr__(self, name, value)

    def bits(self, values: NDArray[np.uint32], tables: NDArray[np.uint16]) -> NDArray[np.int64]:
        """How many bits each value takes with its table: int64, the shape of `values`."""
        escape = self.escapes[tables]
        excess = values.astype(np.int64) - escape
        lengths = self.lengths[tables, np.minimum(values, escape)].astype(np.int64)
        gamma = 2 * np.frexp(np.maximum(excess + 1, 1).astype(np.float64))[1] - 1
        return np.where(excess >= 0, lengths + gamma, lengths)

    def encode(self, values: NDArray[np.uint32], tables: NDArray[np.uint16]) -> bytes:
        """Code `values`, each with its table, most significant bit first.

        Args:
            values: uint32, shape [n].
            tables: Row of the book for each value, uint16, shape [n].

        Raises:
            ValueError: A value has no code word in its table, or a table does not exist.
        """
        values = np.ascontiguousarray(values, dtype=np.uint32)
        tables = np.ascontiguousarray(tables, dtype=np.uint16)
        if values.shape != tables.shape or values.ndim != 1:
            raise ValueError(f"values {values.shape} and tables {tables.shape} must be equally long vectors")
        # The longest code: an escape word and the gamma code of a 25-bit number.
        out = np.empty(values.size * (MAX_BITS + 49) // 8 + 1, dtype=np.uint8)
        size = lib.fl_prefix_encode(
            _pointer("uint32_t[]", values),
            _pointer("uint16_t[]", tables),
            values.size,
            _pointer("uint16_t[]", self.words),
            _pointer("uint8_t[]", self.lengths),
            _pointer("uint16_t[]", self.escapes),
            *self.lengths.shape,
            ffi.from_buffer("uint8_t[]", out, require_writable=True),
            out.size,
        )
        if size < 0:
            raise ValueError("a value has no code word in its table")
        return out[:size].tobytes()


class PrefixReader:
    """Decodes several coded strings side by side, a run of values from each at a time.

    Args:
        payloads: The coded strings, as `PrefixBook.encode` made them.
    """

    def __init__(self, payloads: list[bytes]) -> None:
        self._data = b"".join(payloads)
        self._end = np.cumsum([len(payload) for payload in payloads], dtype=np.uint64)
        self._begin = self._end - np.array([len(payload) for payload in payloads], dtype=np.uint64)
        self._position = np.zeros(len(payloads), dtype=np.uint64)

    def read(
        self, book: PrefixBook, counts: NDArray[np.uint32], tables: NDArray[np.uint16]
    ) -> NDArray[np.uint32]:
        """The next `counts[i]` values of string i, one string after the other.

        Args:
            book: The codes.
            counts: How many values to take from each string, uint32, shape [strings].
            tables: Row of `book` for each value, uint16, shape [sum of counts].

        Raises:
            EOFError: A string ends inside a value.
            ValueError: A string holds bits that no code word begins with.
        """
        counts = np.ascontiguousarray(counts, dtype=np.uint32)
        tables = np.ascontiguousarray(tables, dtype=np.uint16)
        if counts.size != self._position.size or int(counts.sum()) != tables.size:
            raise ValueError("counts and tables do not belong to these strings")
        values = np.empty(tables.size, dtype=np.uint32)
        failed = ffi.new("uint32_t *")
        status = lib.fl_prefix_decode(
            ffi.from_buffer("uint8_t[]", self._data),
            _pointer("uint64_t[]", self._begin),
            _pointer("uint64_t[]", self._end),
            ffi.from_buffer("uint64_t[]", self._position, require_writable=True),
            _pointer("uint32_t[]", counts),
            counts.size,
            _pointer("uint16_t[]", tables),
            _pointer("uint16_t[]", book.lookup),
            _pointer("uint16_t[]", book.escapes),
            book.lengths.shape[0],
            ffi.from_buffer("uint32_t[]", values, require_writable=True),
            failed,
        )
        if status == lib.FL_ERROR_TRUNCATED:
            raise EOFError(f"coded string {failed[0]} ends inside a value")
        if status != lib.FL_OK:
            raise ValueError(f"coded string {failed[0]} holds bits that are no code word")
        return values

    def finish(self) -> None:
        """Check that every string was read to its end.

        Raises:
            ValueError: A string has a whole byte or set bits left over.
        """
        position = self._position.astype(np.int64)
        left = 8 * (self._end - self._begin).astype(np.int64) - position
        if np.any(left >= 8):
            raise ValueError(f"coded string {int(np.argmax(left >= 8))} is longer than what it codes")
        cut = np.flatnonzero(left > 0)
        last = np.frombuffer(self._data, dtype=np.uint8)[self._end[cut].astype(np.int64) - 1]
        if np.any(last & ((1 << left[cut]) - 1)):
            raise ValueError("a coded string is filled up with bits that are not zero")


def _assign(lengths: NDArray[np.uint8], words: NDArray[np.uint16], lookup: NDArray[np.uint16]) -> None:
    """Fill in one table's canonical code words and its look-up table of (symbol << 4) | length."""
    code = 0  # the next free word, left-aligned to MAX_BITS
    order = np.lexsort((np.arange(lengths.size), lengths))
    for symbol in order[lengths[order] > 0]:
        length = int(lengths[symbol])
        width = 1 << (MAX_BITS - length)
        if code + width > 1 << MAX_BITS:
            raise ValueError("the code word lengths do not form a prefix code")
        words[symbol] = code >> (MAX_BITS - length)
        lookup[code : code + width] = (int(symbol) << 4) | length
        code += width


def _pointer(kind: str, array: NDArray[np.generic]) -> object:
    return ffi.from_buffer(kind, array)
