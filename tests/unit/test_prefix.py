"""Prefix codes: round trips, exact sizes, and what happens to strings that are cut or wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from farlook.kernels.huffman import code_lengths
from farlook.kernels.prefix import MAX_BITS, MAX_VALUE, PrefixBook, PrefixReader

WORDS_AND_ESCAPE = (4, 4, 0, 3, 1, 2)
"""Lengths such that symbol 2 has no word, and 5 is the escape."""


def book_of(*rows, escapes=None):
    """A book with a row of lengths for each table; the last symbol of a row escapes."""
    width = max(map(len, rows))
    padded = [list(row) + [0] * (width - len(row)) for row in rows]
    last = [len(row) - 1 for row in rows] if escapes is None else escapes
    return PrefixBook(np.array(padded, dtype=np.uint8), np.array(last, dtype=np.uint16))


def vectors(values, tables=None):
    tables = [0] * len(values) if tables is None else tables
    return np.array(values, dtype=np.uint32), np.array(tables, dtype=np.uint16)


def read_all(payload, book, tables):
    reader = PrefixReader([payload])
    values = reader.read(book, np.array([len(tables)], dtype=np.uint32), tables)
    reader.finish()
    return values.tolist()


def bits_to_bytes(bits):
    return np.packbits([int(bit) for bit in bits.replace(" ", "")]).tobytes()


@st.composite
def messages(draw):
    """A book of up to three tables, and values of all sizes with a table each."""
    counts = draw(st.lists(st.lists(st.integers(1, 200), min_size=2, max_size=20), min_size=1, max_size=3))
    book = book_of(*(code_lengths(np.array(row, dtype=float)) for row in counts))
    value = st.one_of(st.integers(0, 25), st.integers(0, MAX_VALUE), st.just(MAX_VALUE))
    cells = draw(st.lists(st.tuples(value, st.integers(0, len(counts) - 1)), max_size=40))
    values, tables = vectors([cell[0] for cell in cells], [cell[1] for cell in cells])
    return book, values, tables


@given(messages())
def test_round_trip(message):
    book, values, tables = message
    assert read_all(book.encode(values, tables), book, tables) == values.tolist()


@given(messages())
def test_bits_foretells_the_coded_size(message):
    book, values, tables = message
    assert len(book.encode(values, tables)) == -(-int(book.bits(values, tables).sum()) // 8)
    for value, table in zip(values[:5], tables[:5], strict=True):
        eight = np.full(8, value, dtype=np.uint32), np.full(8, table, dtype=np.uint16)
        assert len(book.encode(*eight)) == book.bits(*eight)[0]


@given(messages())
def test_every_cut_is_noticed(message):
    book, values, tables = message
    payload = book.encode(values, tables)
    for size in range(len(payload)):
        with pytest.raises((EOFError, ValueError)):
            read_all(payload[:size], book, tables)


def test_largest_value_survives_every_escape():
    book = book_of((1, 2, 2), (1, 1))
    values, tables = vectors([MAX_VALUE, MAX_VALUE, 2, 1], [0, 1, 0, 1])
    assert read_all(book.encode(values, tables), book, tables) == values.tolist()


def test_words_are_canonical_and_start_with_the_highest_bit():
    """Lengths 2, 1, 3, 3 have the words 10, 0, 110, 111, as in RFC 1951."""
    book = book_of((2, 1, 3, 3))
    assert book.encode(*vectors([1, 0, 2, 1])) == bits_to_bytes("0 10 110 0 0")


def test_an_escape_is_followed_by_a_gamma_code():
    """Escape 1 is the word 1; value 5 is an excess of 5 - 1 + 1, in gamma 00101."""
    assert book_of((1, 1)).encode(*vectors([5])) == bits_to_bytes("1 00101 00")


def test_nothing_codes_as_nothing():
    book = book_of((1, 1))
    assert book.encode(*vectors([])) == b""
    assert read_all(b"", book, vectors([])[1]) == []
    assert book.bits(*vectors([])).tolist() == []


def test_a_reader_of_no_strings_reads_nothing():
    reader = PrefixReader([])
    assert reader.read(book_of((1, 1)), np.array([], dtype=np.uint32), vectors([])[1]).size == 0
    reader.finish()


def test_several_strings_are_read_side_by_side_in_runs():
    book = book_of((1, 2, 2), (2, 2, 2, 2))
    strings = [[0, 1, 9, 0], [], [3, 2, 1], [MAX_VALUE, 0, 0, 0, 5]]
    tables = [[0, 1, 0, 1], [], [1, 1, 0], [0, 0, 1, 1, 1]]
    reader = PrefixReader([book.encode(*vectors(*pair)) for pair in zip(strings, tables, strict=True)])
    read = [[] for _ in strings]
    for counts in ([2, 0, 0, 1], [0, 0, 0, 0], [1, 0, 3, 3], [1, 0, 0, 1]):
        wanted = [
            table
            for i, count in enumerate(counts)
            for table in tables[i][len(read[i]) : len(read[i]) + count]
        ]
        values = reader.read(book, np.array(counts, dtype=np.uint32), np.array(wanted, dtype=np.uint16))
        for i, part in enumerate(np.split(values, np.cumsum(counts)[:-1])):
            read[i] += part.tolist()
    assert read == strings
    reader.finish()


def test_a_cut_string_does_not_read_on_in_its_neighbour():
    book = book_of((4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4))
    values, tables = vectors([1, 2, 3, 4])
    payload = book.encode(values, tables)
    reader = PrefixReader([payload[:-1], payload])
    with pytest.raises(EOFError, match="coded string 0"):
        reader.read(book, np.array([4, 4], dtype=np.uint32), np.concatenate([tables, tables]))


def test_the_string_that_ends_early_is_named():
    book = book_of((1, 1))
    reader = PrefixReader([b"\x00", b"", b"\x00"])
    with pytest.raises(EOFError, match="coded string 1"):
        reader.read(book, np.array([1, 1, 1], dtype=np.uint32), vectors([0, 0, 0])[1])


def test_a_string_that_goes_on_is_refused():
    book = book_of((1, 1))
    with pytest.raises(ValueError, match="coded string 0 is longer"):
        read_all(b"\x00\x00", book, vectors([0] * 8)[1])


def test_the_last_byte_is_filled_with_zeros():
    book = book_of((2, 1, 2))
    assert book.encode(*vectors([0])) == bits_to_bytes("10 000000")
    assert read_all(bits_to_bytes("10 000000"), book, vectors([0])[1]) == [0]
    for fill in ("000001", "100000"):
        with pytest.raises(ValueError, match="not zero"):
            read_all(bits_to_bytes("10" + fill), book, vectors([0])[1])


def test_bits_that_are_no_word_are_refused():
    lone = book_of((1, 0))
    assert read_all(b"\x00", lone, vectors([0])[1]) == [0]
    with pytest.raises(ValueError, match="no code word"):
        read_all(b"\xff\xff", lone, vectors([0])[1])


@pytest.mark.parametrize(
    "bits",
    ["1" + "0" * 30, "1" + "0" * 24 + "1" * 25, "1" + "0" * 24 + "1" + "0" * 24],
    ids=["endless", "largest", "one too large"],
)
def test_escaped_values_above_the_largest_are_refused(bits):
    with pytest.raises(ValueError, match="no code word"):
        read_all(bits_to_bytes(bits + "0" * 32), book_of((1, 1)), vectors([0])[1])


@given(st.binary(max_size=30), st.integers(0, 40))
@example(b"", 1)
def test_any_bytes_decode_or_are_refused(payload, count):
    book = book_of(WORDS_AND_ESCAPE)
    try:
        values = read_all(payload, book, vectors([0] * count)[1])
    except (EOFError, ValueError):
        return
    assert book.encode(*vectors(values)) == payload, "one string of bytes for one string of values"


@pytest.mark.parametrize(
    ("values", "tables"), [([2], [0]), ([MAX_VALUE + 1], [0]), ([0], [1]), ([0], [65535])]
)
def test_what_has_no_word_cannot_be_coded(values, tables):
    with pytest.raises(ValueError, match="no code word"):
        book_of(WORDS_AND_ESCAPE).encode(*vectors(values, tables))


def test_a_table_without_an_escape_refuses_large_values():
    book = book_of((1, 1, 0))
    assert book.encode(*vectors([1])) == b"\x80"
    with pytest.raises(ValueError, match="no code word"):
        book.encode(*vectors([2]))


def test_reading_with_a_table_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no code word"):
        read_all(b"\x00", book_of((1, 1)), vectors([0], [1])[1])


def test_values_and_tables_must_be_equally_long():
    with pytest.raises(ValueError, match="equally long"):
        book_of((1, 1)).encode(*vectors([0, 1], [0]))
    with pytest.raises(ValueError, match="do not belong"):
        PrefixReader([b"\x00"]).read(book_of((1, 1)), np.array([2], dtype=np.uint32), vectors([0])[1])
    with pytest.raises(ValueError, match="do not belong"):
        PrefixReader([b"\x00"]).read(book_of((1, 1)), np.array([1, 0], dtype=np.uint32), vectors([0])[1])


@pytest.mark.parametrize(
    ("lengths", "escapes"),
    [
        ([[1, 1, 1]], [0]),
        ([[2, 2, 2, 2, 12]], [0]),
        ([[1, MAX_BITS + 1]], [0]),
        ([[1, 255]], [0]),
        ([[1, 1]], [2]),
        ([[1, 1]], [0, 0]),
        ([1, 1], [0, 0]),
        ([[[1, 1]]], [0]),
        ([[0] * (1 << MAX_BITS) + [1]], [0]),
    ],
    ids=[
        "too full",
        "overfull",
        "13 bits",
        "255 bits",
        "escape",
        "escapes",
        "1-D",
        "3-D",
        "too many symbols",
    ],
)
def test_bad_books_are_refused(lengths, escapes):
    with pytest.raises(ValueError, match=r"."):
        PrefixBook(np.array(lengths, dtype=np.uint8), np.array(escapes, dtype=np.uint16))


def test_a_book_may_use_every_word_of_the_longest_length():
    size = 1 << MAX_BITS
    book = PrefixBook(np.full((1, size), MAX_BITS, dtype=np.uint8), np.array([size - 1], dtype=np.uint16))
    values, tables = vectors([0, 1, size - 2, size - 1, size])
    assert read_all(book.encode(values, tables), book, tables) == values.tolist()
