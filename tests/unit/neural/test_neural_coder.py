"""Numbers to bytes and back, with tables of integers."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.errors import CorruptStreamError, MissingExtraError
from farlook.runtime.neural.coder import Reader, Tables, Writer

ROWS = [[1] * 5 + [65531], [100, 65336, 99, 1], [65535, 1], [16384, 16384, 16384, 16384], [1, 65500, 1, 34]]


@pytest.fixture(scope="module")
def tables():
    """Tables of little and much reach, skewed both ways."""
    return Tables(ROWS)


def write(tables, batches):
    writer = Writer(tables)
    for rows, values in batches:
        writer.code(np.array(rows, dtype=np.int64), np.array(values, dtype=np.int64))
    return writer.payload()


def read(tables, payload, batches):
    reader = Reader(tables, payload)
    found = [reader.code(np.array(rows, dtype=np.int64), None).tolist() for rows, _ in batches]
    reader.finish()
    return found


def reference(probabilities, symbols):
    """Asymmetric numeral systems by the book: 64 bits of state, words of 32, probabilities of 2^-16."""
    starts = [sum(probabilities[:index]) for index in range(len(probabilities))]
    state, words = 0, []
    for symbol in reversed(symbols):
        share = probabilities[symbol] << 8
        if state >> 40 >= share:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // share << 24) + (starts[symbol] << 8) + state % share
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return np.array(words, dtype="<u4").tobytes().rstrip(b"\0")


def test_probabilities_are_exactly_those_of_the_table():
    """In Python's integers the same bytes come out: nothing in them is rounded."""
    probabilities = [3, 1200, 64000, 332, 1]
    row = [*probabilities[:3], probabilities[3] - 7, 7, 1]
    symbols = np.random.default_rng(5).choice(5, 4000, p=np.array(row[:5]) / sum(row[:5]))
    payload = write(Tables([row]), [([0] * len(symbols), symbols - 2)])
    assert payload == reference(row, symbols.tolist())


@given(st.data())
def test_any_numbers_come_back(tables, data):
    batches = data.draw(
        st.lists(
            st.lists(
                st.tuples(
                    st.integers(0, len(ROWS) - 1), st.one_of(st.integers(-4, 4), st.integers(-70000, 70000))
                ),
                max_size=40,
            ),
            max_size=4,
        )
    )
    batches = [([row for row, _ in batch], [value for _, value in batch]) for batch in batches]
    assert read(tables, write(tables, batches), batches) == [values for _, values in batches]


def test_the_expected_costs_nothing_and_rare_numbers_much(tables):
    assert write(tables, [([1] * 1000, [0] * 1000)]) == write(tables, [([1] * 1000, [0] * 1000)])
    likely, rare = (len(write(tables, [([1] * 1000, [value] * 1000)])) for value in (0, 1))
    assert likely <= 4
    assert 1000 * 9 < 8 * rare < 1000 * 10


def test_no_numbers_are_no_bytes(tables):
    assert write(tables, []) == b""
    assert read(tables, b"", [([], [])]) == [[]]


def test_rubbish_decodes_or_is_refused(tables):
    generator = np.random.default_rng(2)
    for size in range(60):
        reader = None
        try:
            reader = Reader(tables, generator.bytes(size))
            found = reader.code(generator.integers(0, len(ROWS), 300), None)
            assert np.abs(found).max() < 1 << 20
            reader.finish()
        except CorruptStreamError:
            continue


@pytest.mark.parametrize("payload", [b"\0", b"abc\0", b"\0" * 8])
def test_a_payload_does_not_end_in_0(tables, payload):
    with pytest.raises(CorruptStreamError):
        Reader(tables, payload)


def test_a_payload_is_read_to_its_end(tables):
    batches = [([3] * 50, [0] * 50)]
    payload = write(tables, batches)
    with pytest.raises(CorruptStreamError):
        read(tables, b"\x01" + payload, batches)
    with pytest.raises(CorruptStreamError):
        read(tables, payload, [([3] * 10, [])])


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[65536]],
        [[0, 65536]],
        [[1, 65534]],
        [[-1, 65537]],
        [[1, 2, 65533]],
        [[1] * 4000],
        [[[1], [65535]]],
    ],
    ids=str,
)
def test_tables_that_are_no_distributions_are_refused(rows):
    with pytest.raises(ValueError, match=r"table|probabilities|sequence"):
        Tables(rows)


def test_without_constriction_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(MissingExtraError, match=r"farlook\[neural\]"):
        Tables(ROWS)
