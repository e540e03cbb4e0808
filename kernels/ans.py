"""Asymmetric numeral systems over arrays of symbols, by the C99 core: 64 bits of state, words of 32.

A coder is a stack. Calls of an encoder are undone by calls of a decoder in the opposite order; within a call,
symbols come back in the order they were given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels._native import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ANS_BITS = int(lib.FL_ANS_BITS)

_MAX_SYMBOLS = 1 << 16
_STATE_WORDS = 2
_PARTS = np.arange((1 << lib.FL_ANS_HINT_BITS) + 1) << (ANS_BITS - lib.FL_ANS_HINT_BITS)
"""Where a decoder's search for a symbol begins, and the end."""


class AnsTables:
    """Distributions, each over 0, 1, ..., as whole numbers of 2^-24.

    Args:
        rows: For each table the probabilities of its symbols, at most 65536: at least 1, 2^24 in sum.

    Raises:
        ValueError: There are no rows, or they are not such.
    """

    def __init__(self, rows: Sequence[ArrayLike]) -> None:
        tables = [_cumulative(row) for row in rows]
        if not tables:
            raise ValueError("there are no tables")
        self._cumulative = np.concatenate(tables)
        self._starts = np.cumsum([0, *map(len, tables)], dtype=np.uint32)
        self._hints = np.concatenate([_hints(table) for table in tables])

    def __len__(self) -> int:
        return self._starts.size - 1

    def rows(self) -> tuple[object, object]:
        """The tables as the C core takes them."""
        return _pointer("uint32_t[]", self._cumulative), _pointer("uint32_t[]", self._starts)

    def hints(self) -> object:
        """What its decoder takes besides."""
        return _pointer("uint16_t[]", self._hints)


class AnsEncoder:
    """An encoder; new, it is empty."""

    def __init__(self) -> None:
        self._coder = ffi.new("fl_ans *")
        self._buffer = np.empty(0, dtype=np.uint32)

    def encode(self, symbols: NDArray[np.int32], tables: NDArray[np.int32], book: AnsTables) -> None:
        """Encode symbols, each with its table.

        Args:
            symbols: int32, shape [n].
            tables: Table of the book for each symbol, int32, shape [n].
            book: The tables.

        Raises:
            ValueError: A symbol or a table does not exist. The encoder is of no use afterwards.
        """
        symbols, tables = _vector(symbols), _vector(tables)
        if symbols.shape != tables.shape:
            raise ValueError(
                f"symbols {symbols.shape} and tables {tables.shape} must be equally long vectors"
            )
        self._reserve(symbols.size)
        arguments = _pointer("int32_t[]", symbols), _pointer("int32_t[]", tables), symbols.size
        _check(lib.fl_ans_encode(self._coder, *arguments, *book.rows(), len(book)))

    def encode_uniform(self, symbols: NDArray[np.int32], size: int) -> None:
        """Encode symbols of which 0, ..., size - 1 are equally probable.

        Args:
            symbols: int32, shape [n].
            size: 1 to 2^24.

        Raises:
            ValueError: A symbol does not exist, or the size is none. The encoder is of no use afterwards.
        """
        symbols = _vector(symbols)
        self._reserve(symbols.size)
        _check(
            lib.fl_ans_encode_uniform(
                self._coder, _pointer("int32_t[]", symbols), symbols.size, _checked(size)
            )
        )

    def words(self) -> NDArray[np.uint32]:
        """What a decoder needs: uint32, shape [words]. The last is not 0; an empty encoder has none."""
        self._reserve(0)
        state, size = self._coder.state, self._coder.size
        _check(lib.fl_ans_close(self._coder))
        words = self._buffer[: self._coder.size].copy()
        self._coder.state, self._coder.size = state, size
        return words

    def _reserve(self, count: int) -> None:
        """Make room for so many symbols, each of which leaves a word at most, and for the state."""
        needed = self._coder.size + count + _STATE_WORDS
        if needed > self._buffer.size:
            grown = np.empty(2 * needed, dtype=np.uint32)
            grown[: self._coder.size] = self._buffer[: self._coder.size]
            self._buffer = grown
            self._coder.capacity = grown.size
            # The pointer keeps no buffer alive: self._buffer does.
            self._coder.words = ffi.cast("uint32_t *", ffi.from_buffer(grown, require_writable=True))


class AnsDecoder:
    """A decoder.

    Args:
        words: What `AnsEncoder.words` gave, uint32, shape [words].

    Raises:
        ValueError: The last word is 0.
    """

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._words = np.ascontiguousarray(words, dtype=np.uint32)
        if self._words.ndim != 1:
            raise ValueError(f"words {self._words.shape} must be a vector")
        self._coder = ffi.new("fl_ans *")
        # The pointer keeps no buffer alive: self._words does. Decoders write to none.
        self._coder.words = ffi.cast("uint32_t *", ffi.from_buffer(self._words))
        self._coder.size = self._words.size
        if lib.fl_ans_open(self._coder) != lib.FL_OK:
            raise ValueError("the last word is 0")

    @property
    def empty(self) -> bool:
        """Whether all was decoded. What is decoded from an empty decoder has no meaning but is no error."""
        return bool(self._coder.state == 0)

    def decode(self, tables: NDArray[np.int32], book: AnsTables) -> NDArray[np.int32]:
        """Decode symbols, each with its table: int32, shape [n].

        Args:
            tables: Table of the book for each symbol, int32, shape [n].
            book: The tables.

        Raises:
            ValueError: A table does not exist. The decoder is of no use afterwards.
        """
        tables = _vector(tables)
        symbols = np.empty(tables.size, dtype=np.int32)
        arguments = _pointer("int32_t[]", symbols), _pointer("int32_t[]", tables), tables.size
        _check(lib.fl_ans_decode(self._coder, *arguments, *book.rows(), book.hints(), len(book)))
        return symbols

    def decode_uniform(self, count: int, size: int) -> NDArray[np.int32]:
        """Decode symbols of which 0, ..., size - 1 are equally probable: int32, shape [count].

        Raises:
            ValueError: The size is not one of 1 to 2^24.
        """
        symbols = np.empty(count, dtype=np.int32)
        _check(lib.fl_ans_decode_uniform(self._coder, _pointer("int32_t[]", symbols), count, _checked(size)))
        return symbols


def _cumulative(row: ArrayLike) -> NDArray[np.uint32]:
    """Where the symbols of a table begin, and the end: uint32, shape [symbols + 1]."""
    probabilities = np.asarray(row, dtype=np.int64)
    if probabilities.ndim != 1 or probabilities.min(initial=0) < 0 or not probabilities.all():
        raise ValueError("a table is not a list of positive probabilities")
    if probabilities.size > _MAX_SYMBOLS:
        raise ValueError(f"a table has {probabilities.size} symbols: {_MAX_SYMBOLS} are possible")
    ends = np.cumsum(np.minimum(probabilities, 1 << (ANS_BITS + 1)))  # so that 64 bits are enough
    if not ends.size or ends[-1] != 1 << ANS_BITS:
        raise ValueError(f"the probabilities of a table are not {1 << ANS_BITS} in sum")
    return np.concatenate([[0], ends]).astype(np.uint32)


def _hints(cumulative: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Which symbol holds the beginning of each part, and the last symbol: uint16, shape [parts + 1]."""
    hints: NDArray[np.uint16] = np.searchsorted(cumulative[1:-1], _PARTS, side="right").astype(np.uint16)
    return hints


def _vector(values: NDArray[np.int32]) -> NDArray[np.int32]:
    vector = np.ascontiguousarray(values, dtype=np.int32)
    if vector.ndim != 1:
        raise ValueError(f"an array {vector.shape} is given where a vector is needed")
    return vector


def _checked(size: int) -> int:
    if not 0 < size <= 1 << ANS_BITS:
        raise ValueError(f"{size} symbols cannot be equally probable: 1 to {1 << ANS_BITS} can")
    return size


def _check(status: int) -> None:
    if status != lib.FL_OK:
        raise ValueError("a symbol or its table does not exist")


def _pointer(kind: str, array: NDArray[np.generic]) -> object:
    return ffi.from_buffer(kind, array)
