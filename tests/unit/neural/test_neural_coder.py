"""Numbers to bytes and back, with tables of integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.errors import CorruptStreamError
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


def shares(row):
    """A table's probabilities and where they start, in 2^-24."""
    finer = [probability << 8 for probability in row]
    return finer, [sum(finer[:index]) for index in range(len(finer))]


def uniform(size):
    """The same of equally probable numbers: the last has the rest."""
    equal = (1 << 24) // size
    probabilities = [equal] * (size - 1) + [(1 << 24) - equal * (size - 1)]
    return probabilities, [equal * index for index in range(size)]


def pieces(rows, tables, values):
    """A batch as `docs/format.md` says: what is coded, in order, each with its probabilities."""
    batch = sorted(zip(tables, values, strict=True), key=lambda pair: pair[0])
    beyond = []
    for table, value in batch:
        reach = len(rows[table]) // 2 - 1
        if abs(value) > reach:
            beyond.append(2 * (abs(value) - reach) - (value > 0))
        yield shares(rows[table]), min(value, reach + 1) + reach if abs(value) <= reach else 2 * reach + 1
    for number in beyond:
        yield uniform(20), number.bit_length() - 1
    for bits in range(1, 20):
        for number in beyond:
            if number.bit_length() - 1 == bits:
                yield uniform(1 << bits), number - (1 << bits)


def reference(rows, batches):
    """Asymmetric numeral systems by the book, in Python's integers: 64 bits of state, words of 32."""
    state, words = 0, []
    coded = [piece for tables, values in batches for piece in pieces(rows, tables, values)]
    for (probabilities, starts), number in reversed(coded):
        if state >> 40 >= probabilities[number]:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // probabilities[number] << 24) + starts[number] + state % probabilities[number]
    while state:
        words.append(state & 0xFFFFFFFF)
        state >>= 32
    return np.array(words, dtype="<u4").tobytes().rstrip(b"\0")


@pytest.mark.parametrize("spread", [1, 3, 40, 30000])
def test_the_bytes_are_those_of_the_specification(tables, spread):
    generator = np.random.default_rng(spread)
    batches = [
        (
            generator.integers(0, len(ROWS), size).tolist(),
            np.rint(generator.laplace(0, spread, size)).astype(int).clip(-70000, 70000).tolist(),
        )
        for size in (700, 1, 90)
    ]
    assert write(tables, batches) == reference(ROWS, batches)


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
