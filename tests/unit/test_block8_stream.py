"""block8's streams as hostile input: damage is noticed, and costs no more than what it touches."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.kernels.block8 import STEPS, Core, Geometry, Packet
from farlook.kernels.block8_tables import Tables
from farlook.kernels.checksum import crc32c
from farlook.runtime.block8.stream import (
    PREAMBLE,
    first_header,
    read_header,
    read_packet,
    read_stream,
    salvage,
    split_packets,
)
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import StreamError
from farlook.runtime.varint import varint

GEOMETRY = Geometry(130, 100, 3, 8)
STEP = 330


def encode(picture, step=STEP, mtu=110, digest=b"\x12\x34"):
    """The framed packets of a picture, and its header."""
    geometry = Geometry(picture.shape[1], picture.shape[0], 3, 8)
    core = Core(Tables.unpack(find_bundle("block8").tables()))
    settings = core.settings(geometry, step=step, mtu=mtu, digest=digest)
    return [p.data for p in core.encode_rows(picture, 0, geometry.units_y, settings)], settings.header


@pytest.fixture(scope="module")
def made(kodim):
    """Packets and header of a piece of the photograph."""
    return encode(np.ascontiguousarray(kodim[100 : 100 + GEOMETRY.height, 300 : 300 + GEOMETRY.width]))


@pytest.fixture(scope="module")
def framed(made):
    return made[0]


@pytest.fixture(scope="module")
def stream(framed):
    return PREAMBLE + b"".join(framed)


@pytest.fixture(scope="module")
def right(stream):
    """Header and packets of the whole stream."""
    return read_stream(stream)


@pytest.fixture(scope="module")
def ends(framed):
    """Where each packet ends in the stream."""
    return (len(PREAMBLE) + np.cumsum([len(packet) for packet in framed])).tolist()


def forge(header: bytes, packets: list[Packet]) -> bytes:
    """A stream of any packets under any header, whose checksums hold."""
    out = PREAMBLE
    for number, packet in enumerate(packets):
        flags = 0x8000 | (0x4000 if number == 0 else 0)
        body = (header if number == 0 else b"") + varint(packet.first) + varint(packet.count - 1)
        body += bytes([packet.layer]) if header[0] & 4 else b""
        body += packet.step.to_bytes(2, "little") + packet.data
        head = (len(body) | flags).to_bytes(2, "little")
        checksum = crc32c(head + body, crc32c(header))
        out += head + checksum.to_bytes(4, "little")[:3] + body
    return out


def numbered(packets):
    return {packet.first: packet for packet in packets}


def check_outcome(read, data, right):
    """A reader of damaged data gives the right result or says that it cannot."""
    try:
        header, packets = read(data)
    except StreamError:
        return
    assert header == right[0]
    assert set(packets) <= set(right[1])


def test_a_stream_reads_back(stream, framed, made, right):
    header, packets = right
    assert len(packets) == len(framed) > 10
    assert (header.geometry, header.step, header.has_finer, header.layout) == (GEOMETRY, STEP, False, "tiles")
    assert (header.digest, header.raw) == (b"\x12\x34", made[1])
    assert sum(packet.count for packet in packets) == GEOMETRY.units
    assert b"".join(split_packets(stream)) == stream
    assert first_header(stream) == header


def test_a_stream_cut_anywhere_is_refused_and_its_whole_packets_found(stream, right, ends):
    for size in range(len(stream)):
        with pytest.raises(StreamError):
            read_stream(stream[:size])
        if size >= ends[0]:
            assert salvage([stream[:size]]) == (right[0], right[1][: sum(end <= size for end in ends)])
        else:
            with pytest.raises(StreamError):
                salvage([stream[:size]])


def test_a_flipped_bit_is_noticed_and_costs_its_own_packet(stream, right, ends):
    for bit in range(0, 8 * len(stream), 5):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StreamError):
            read_stream(bytes(damaged))
        hit = next(number for number, end in enumerate(ends) if bit // 8 < end)
        expected = [p for number, p in enumerate(right[1]) if bit // 8 < len(PREAMBLE) or number != hit]
        assert salvage([bytes(damaged)]) == (right[0], expected)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=40), st.integers(0, 40)), min_size=1, max_size=4)
)
def test_pieces_replaced_by_others_give_the_right_packets_or_an_error(stream, right, changes):
    damaged = stream
    for where, new, removed in changes:
        at = int(where * len(damaged))
        damaged = damaged[:at] + new + damaged[at + removed :]
    check_outcome(read_stream, damaged, right)
    check_outcome(lambda data: salvage([data]), damaged, right)


@given(st.data())
def test_packets_arrive_in_any_order_some_twice_some_not(framed, right, data):
    headed = [number for number in range(len(framed)) if number & (number - 1) == 0]
    arrived = data.draw(st.lists(st.integers(0, len(framed) - 1), max_size=2 * len(framed)))
    arrived.insert(data.draw(st.integers(0, len(arrived))), data.draw(st.sampled_from(headed)))
    pieces = [framed[number] for number in arrived]
    for received in (pieces, [b"".join(pieces)], [PREAMBLE + b"".join(pieces)]):
        header, packets = salvage(received)
        assert header == right[0]
        assert numbered(packets) == {right[1][n].first: right[1][n] for n in arrived}
        assert len(packets) == len(set(arrived))


@given(st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=300)), min_size=1, max_size=4))
def test_garbage_between_packets_costs_nothing(framed, right, garbage):
    pieces = list(framed)
    for at, piece in garbage:
        pieces.insert(at, piece)
    header, packets = salvage(pieces)
    assert (header, numbered(packets)) == (right[0], numbered(right[1]))


def test_packets_without_a_header_among_them_are_refused(framed):
    with pytest.raises(StreamError, match="header"):
        salvage([framed[3], framed[5]])
    with pytest.raises(StreamError):
        salvage([])


def test_two_streams_do_not_mix(kodim, stream, framed, right):
    other, _ = encode(np.ascontiguousarray(kodim[: GEOMETRY.height, : GEOMETRY.width]), digest=b"\x12\x35")
    header, packets = salvage([*framed, *other])
    assert (header, packets) == (right[0], right[1])
    with pytest.raises(StreamError):
        read_stream(stream + b"".join(other))
    with pytest.raises(StreamError):
        read_stream(stream + stream)
    with pytest.raises(StreamError, match="twice"):
        read_stream(stream + framed[0])
    check_outcome(lambda data: salvage([data]), stream + stream, right)


@given(st.binary(max_size=400), st.sampled_from([b"", PREAMBLE, PREAMBLE + b"\x40\x40"]))
def test_garbage_is_no_stream(garbage, front):
    data = front + garbage
    for read in (read_stream, first_header, lambda data: salvage([data])):
        with pytest.raises(StreamError):
            read(data)
    for read in (split_packets, read_header, lambda data: read_packet(data, b"12345")):
        with contextlib.suppress(StreamError):
            read(data)


VALUES = st.one_of(st.integers(0, 30), st.integers(0, (1 << 35) - 1))


FIELDS = st.tuples(VALUES, VALUES, st.sampled_from([STEP, STEPS - 1, STEPS]), st.binary(max_size=9))


@given(st.lists(FIELDS, min_size=1, max_size=4))
def test_forged_packets_lie_in_the_picture_or_are_refused(made, fields):
    packets = [Packet(first, min(count + 1, 1 << 35), step, data) for first, count, step, data in fields]
    stream = forge(made[1], packets)
    try:
        _, read = read_stream(stream)
        assert sum(packet.count for packet in read) == GEOMETRY.units
    except StreamError:
        pass
    _, found = salvage([stream])
    covered = []
    for packet in found:
        assert packet.step < STEPS
        covered += range(packet.first, packet.first + packet.count)
    assert len(covered) == len(set(covered)), "no unit is held by two packets"
    assert set(covered) <= set(range(GEOMETRY.units))


def test_forged_packets_of_the_layout_progressive_lie_in_the_picture(made):
    header = bytes([made[1][0] | 4]) + made[1][1:]
    for first, count, step in [
        (GEOMETRY.units, 1, STEP),
        (0, 1 << 34, STEP),
        (1 << 34, 1, STEP),
        (0, 1, STEPS),
    ]:
        stream = forge(header, [Packet(0, 1, STEP, b"a"), Packet(first, count, step, b"a")])
        with pytest.raises(StreamError):
            read_stream(stream)
        assert [(packet.first, packet.count) for packet in salvage([stream])[1]] == [(0, 1)]


def test_of_packets_that_overlap_only_one_is_kept(made):
    """Threads decode packets in parallel, each into its own units: two must never hold the same."""
    packets = [
        Packet(2, 4, STEP, b"a"),
        Packet(0, 3, STEP, b"b"),
        Packet(3, 1, STEP, b"c"),
        Packet(6, 2, STEP, b"d"),
    ]
    _, found = salvage([forge(made[1], packets)])
    covered = [unit for packet in found for unit in range(packet.first, packet.first + packet.count)]
    assert sorted(covered) == sorted(set(covered))
    assert packets[3] in found


@given(st.integers(0, 255), st.integers(0, 0xFFFF), VALUES, VALUES)
def test_forged_headers_are_within_limits_or_refused(kind, step, width, height):
    raw = bytes([kind]) + step.to_bytes(2, "little") + b"\x12\x34" + varint(width) + varint(height)
    try:
        header = read_header(raw)
    except StreamError:
        return
    geometry = header.geometry
    assert max(geometry.width, geometry.height) <= 16384
    assert geometry.depth in range(8, 17)
    assert header.step < STEPS
    assert header.raw == raw


def test_a_small_file_takes_little_memory_whatever_it_claims():
    header = bytes([0xF1]) + STEP.to_bytes(2, "little") + b"\x12\x34" + varint(16383) + varint(16383)
    stream = forge(header, [Packet(0, 1, STEP, b"123"), Packet(5, 1 << 34, STEP, b"")])
    tracemalloc.start()
    try:
        with pytest.raises(StreamError):
            read_stream(stream)
        found = salvage([stream])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [packet.first for packet in found[1]] == [0]
    assert peak < 1 << 16
