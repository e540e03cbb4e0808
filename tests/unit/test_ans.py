"""Asymmetric numeral systems: round trips, the specification's words, and what is wrong or goes past the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.kernels._native import ffi, lib
from farlook.kernels.ans import ANS_BITS, AnsDecoder, AnsEncoder, AnsTables

ONE = 1 << ANS_BITS
ROWS = [
    [ONE // 4] * 4,
    [1, ONE - 2, 1],
    [ONE - 300] + [1] * 300,
    [3, 5, ONE - 9, 1],
    [ONE],
    [1 << 8] * (1 << 16),
]
SIZES = [1, 2, 3, 20, 1000, 1 << 19, ONE - 1, ONE]


def integers(values):
    return np.array(values, dtype=np.int32)


@pytest.fixture(scope="module")
def book():
    """Tables of all shapes: flat, skewed, of one symbol and of the most."""
    return AnsTables(ROWS)


def push(state, words, before, probability):
    """One symbol, by the book: 64 bits of state, words of 32."""
    if state >> 40 >= probability:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return (state // probability << ANS_BITS) + before + state % probability


def reference(batches):
    """The words of batches of (symbol, row), or of (symbol, number of equally probable symbols)."""
    state, words = 0, []
    for kind, symbols, argument in batches:
        for index in reversed(range(len(symbols))):
            symbol = symbols[index]
            if kind == "tables":
                row = ROWS[argument[index]]
                state = push(state, words, sum(row[:symbol]), row[symbol])
            else:
                equal = ONE // argument
                last = symbol == argument - 1
                state = push(state, words, equal * symbol, ONE - equal * symbol if last else equal)
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return words


def encode(book, batches):
    encoder = AnsEncoder()
    for kind, symbols, argument in batches:
        if kind == "tables":
            encoder.encode(integers(symbols), integers(argument), book)
        else:
            encoder.encode_uniform(integers(symbols), argument)
    return encoder.words()


def decode(book, words, batches):
    """The symbols of the batches in their order, though the last is read first; and whether all was read."""
    decoder = AnsDecoder(words)
    found = [
        decoder.decode(integers(argument), book)
        if kind == "tables"
        else decoder.decode_uniform(len(symbols), argument)
        for kind, symbols, argument in reversed(batches)
    ]
    return [symbols.tolist() for symbols in reversed(found)], decoder.empty


@st.composite
def tabled(draw):
    tables = draw(st.lists(st.integers(0, len(ROWS) - 1), max_size=30))
    return "tables", [draw(st.integers(0, len(ROWS[table]) - 1)) for table in tables], tables


@st.composite
def uniform(draw):
    size = draw(st.sampled_from(SIZES))
    symbol = st.one_of(st.integers(0, size - 1), st.just(size - 1))
    return "uniform", draw(st.lists(symbol, max_size=30)), size


@given(st.lists(st.one_of(tabled(), uniform()), max_size=5))
def test_the_words_are_those_of_the_specification_and_symbols_come_back(batches):
    book = AnsTables(ROWS)
    words = encode(book, batches)
    assert words.dtype == np.uint32
    assert words.tolist() == reference(batches)
    assert decode(book, words, batches) == ([symbols for _, symbols, _ in batches], True)


def test_long_batches_outgrow_the_buffer(book):
    generator = np.random.default_rng(3)
    batches = []
    for count in (1, 5000, 20000):
        tables = generator.integers(0, 4, count)
        symbols = generator.integers(0, 3, count)
        batches.append(("tables", symbols.tolist(), tables.tolist()))
    words = encode(book, batches)
    assert words.tolist() == reference(batches)
    assert decode(book, words, batches) == ([symbols for _, symbols, _ in batches], True)


def test_words_can_be_asked_for_on_the_way(book):
    encoder = AnsEncoder()
    batches = [("tables", [2, 0, 1, 1], [0, 1, 2, 3]), ("uniform", [17, 0, 19], 20)] * 20
    for end, (kind, symbols, argument) in enumerate(batches):
        assert encoder.words().tolist() == reference(batches[:end])
        if kind == "tables":
            encoder.encode(integers(symbols), integers(argument), book)
        else:
            encoder.encode_uniform(integers(symbols), argument)
    assert encoder.words().tolist() == reference(batches)


def test_nothing_is_no_words(book):
    assert encode(book, []).tolist() == encode(book, [("tables", [], []), ("uniform", [], 20)]).tolist() == []
    assert decode(book, integers([]), [("tables", [], [])]) == ([[]], True)


def test_an_empty_decoder_goes_on_with_0(book):
    decoder = AnsDecoder(np.zeros(0, dtype=np.uint32))
    assert decoder.decode(integers([0, 1, 2, 3, 4, 5]), book).tolist() == [0] * 6
    assert decoder.decode_uniform(5, 20).tolist() == [0] * 5
    assert decoder.empty


def test_a_decoder_is_empty_after_the_last_symbol_only(book):
    words = encode(book, [("tables", [3] * 50, [0] * 50)])
    decoder = AnsDecoder(words)
    for _ in range(50):
        assert not decoder.empty
        assert decoder.decode(integers([0]), book).tolist() == [3]
    assert decoder.empty
    longer = AnsDecoder(np.concatenate([np.array([1], dtype=np.uint32), words]))
    longer.decode(integers([0] * 50), book)
    assert not longer.empty


@given(st.lists(st.integers(0, (1 << 32) - 1), max_size=6), st.lists(tabled(), max_size=4))
def test_any_words_decode_to_symbols_that_exist(words, batches):
    book = AnsTables(ROWS)
    words = np.array(words, dtype=np.uint32)
    if words.size and words[-1] == 0:
        with pytest.raises(ValueError, match="last word is 0"):
            AnsDecoder(words)
        return
    before = words.copy()
    found, empty = decode(book, words, batches)
    for symbols, (_, _, tables) in zip(found, batches, strict=True):
        assert all(0 <= symbol < len(ROWS[table]) for symbol, table in zip(symbols, tables, strict=True))
    if empty:
        again = [("tables", symbols, tables) for symbols, (_, _, tables) in zip(found, batches, strict=True)]
        assert encode(book, again).tolist() == before.tolist(), "one string of words for one of symbols"
    assert words.tolist() == before.tolist()


@pytest.mark.parametrize(
    ("symbols", "tables"), [([4], [0]), ([-1], [0]), ([0], [6]), ([0], [-1]), ([0, 1, 0], [0, 4, 0])]
)
def test_what_does_not_exist_cannot_be_encoded(book, symbols, tables):
    with pytest.raises(ValueError, match="does not exist"):
        AnsEncoder().encode(integers(symbols), integers(tables), book)


@pytest.mark.parametrize(("symbol", "size"), [(20, 20), (-1, 20), (1, 1)])
def test_what_is_not_below_the_size_cannot_be_encoded(symbol, size):
    with pytest.raises(ValueError, match="does not exist"):
        AnsEncoder().encode_uniform(integers([symbol]), size)


@pytest.mark.parametrize("size", [0, -1, ONE + 1])
def test_sizes_that_no_table_has(size):
    with pytest.raises(ValueError, match="equally probable"):
        AnsEncoder().encode_uniform(integers([0]), size)
    with pytest.raises(ValueError, match="equally probable"):
        AnsDecoder(np.zeros(0, dtype=np.uint32)).decode_uniform(1, size)


@pytest.mark.parametrize("table", [6, -1])
def test_decoding_with_a_table_that_does_not_exist_is_refused(book, table):
    with pytest.raises(ValueError, match="does not exist"):
        AnsDecoder(np.array([5], dtype=np.uint32)).decode(integers([0, table]), book)


def test_arrays_that_do_not_fit_are_refused(book):
    with pytest.raises(ValueError, match="equally long"):
        AnsEncoder().encode(integers([0, 1]), integers([0]), book)
    with pytest.raises(ValueError, match="vector"):
        AnsEncoder().encode(integers([[0]]), integers([[0]]), book)
    with pytest.raises(ValueError, match="vector"):
        AnsDecoder(np.ones((1, 1), dtype=np.uint32))


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[]],
        [[0, ONE]],
        [[-1, ONE + 1]],
        [[1, ONE]],
        [[1, ONE - 2]],
        [[1 << 62] * 4 + [ONE]],
        [[[ONE]]],
        [[1 << 7] * (1 << 17)],
    ],
    ids=["no tables", "no symbols", "zero", "negative", "more", "less", "overflow", "2-D", "too many"],
)
def test_tables_that_are_no_distributions_are_refused(rows):
    with pytest.raises(ValueError, match=r"table"):
        AnsTables(rows)


def test_the_core_stops_at_the_end_of_its_buffer():
    """The Python face never lets it come to that."""
    words = np.full(4, 7, dtype=np.uint32)
    coder = ffi.new("fl_ans *")
    coder.words, coder.capacity = ffi.cast("uint32_t *", ffi.from_buffer(words)), 2
    symbols = integers([1] * 8)
    pointer = ffi.from_buffer("int32_t[]", symbols)
    assert lib.fl_ans_encode_uniform(coder, pointer, symbols.size, ONE) == lib.FL_ERROR_SPACE
    assert lib.fl_ans_close(coder) == lib.FL_ERROR_SPACE
    assert coder.size == 2
    assert words[2:].tolist() == [7, 7]
