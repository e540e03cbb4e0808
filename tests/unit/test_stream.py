"""The stream format: round trips, and hostile bytes."""

from __future__ import annotations

import dataclasses
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.kernels.checksum import crc32c
from farlook.runtime.errors import (
    CorruptStreamError,
    FarlookError,
    StreamError,
    StreamVersionError,
    TruncatedStreamError,
    UnknownCodecError,
)
from farlook.runtime.stream import (
    CODECS,
    LATEST,
    MAGIC,
    MAX_SIDE,
    TILE_LOG2,
    VERSION,
    Header,
    read_header,
    read_stream,
    stream_codec,
    stream_size,
    write_stream,
)

HEADER = Header("block8-paper", b"\x01\x02\x03\x04", 70, 40, bands=3, bit_depth=8, quality=50, tile_log2=5)
PAYLOADS = [b"zero", b"", b"two", bytes(200), b"four", b"\xff"]
STREAM = write_stream(HEADER, PAYLOADS)


@st.composite
def geometries(draw):
    """Headers of any kind whose pictures have few tiles."""
    log2 = draw(st.sampled_from(TILE_LOG2))
    side = 1 << log2
    width, height = (
        min((draw(st.integers(1, 3)) - 1) * side + draw(st.integers(1, side)), MAX_SIDE) for _ in range(2)
    )
    return Header(
        codec=draw(st.sampled_from(sorted(CODECS.values()))),
        digest=draw(st.binary(min_size=4, max_size=4)),
        width=width,
        height=height,
        bands=draw(st.sampled_from([1, 3])),
        bit_depth=draw(st.integers(1, 16)),
        quality=draw(st.integers(1, 100)),
        tile_log2=log2,
    )


def head_of(header):
    return write_stream(header, [])


def packets_of(stream=STREAM, header=HEADER, payloads=PAYLOADS):
    """The bytes of each packet."""
    sizes = [len(payload) for payload in payloads]
    ends = [stream_size(header, sizes[:count]) for count in range(len(sizes) + 1)]
    return [stream[start:end] for start, end in pairwise(ends)]


def sealed(body):
    """A header's fields with the checksum they need."""
    return body + crc32c(body).to_bytes(4, "little")


def altered(position, value):
    """The head of `STREAM` with one byte changed and a checksum that holds."""
    body = bytearray(head_of(HEADER)[:-4])
    body[position] = value
    return sealed(bytes(body))


@given(geometries(), st.data())
def test_round_trip(header, data):
    payloads = data.draw(
        st.lists(st.binary(max_size=150), min_size=header.tiles.count, max_size=header.tiles.count)
    )
    stream = write_stream(header, payloads)
    assert read_stream(stream) == (header, payloads)
    assert read_header(stream) == header
    assert stream_size(header, [len(payload) for payload in payloads]) == len(stream)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16383, 16384, 100000])
def test_the_size_is_foretold_for_payloads_of_any_length(size):
    header = dataclasses.replace(HEADER, tile_log2=7)
    assert stream_size(header, [size]) == len(write_stream(header, [bytes(size)]))


def test_the_layout_of_a_header_does_not_change():
    """Magic, version, codec, digest, kind, quality, tile, width - 1, height - 1, checksum."""
    fields = b"\x8fFLK" + bytes([1, 1, 1, 2, 3, 4, 0x71, 50, 5, 69, 39])
    assert head_of(HEADER) == sealed(fields)


def test_a_header_can_be_read_before_the_packets_arrive():
    assert read_header(head_of(HEADER)) == HEADER


def test_the_largest_picture_has_a_header():
    header = dataclasses.replace(HEADER, width=MAX_SIDE, height=MAX_SIDE, tile_log2=10)
    assert read_header(head_of(header)) == header
    assert header.tiles.count == 256


@pytest.mark.parametrize("read", [read_stream, read_header])
@pytest.mark.parametrize("data", [b"", MAGIC[:1], MAGIC, head_of(HEADER)[:-1]])
def test_part_of_a_header_is_a_truncated_stream(read, data):
    with pytest.raises(TruncatedStreamError):
        read(data)


def test_every_cut_is_a_truncated_stream():
    for size in range(len(STREAM)):
        with pytest.raises(TruncatedStreamError):
            read_stream(STREAM[:size])


def test_every_flipped_bit_is_noticed():
    for position in range(len(STREAM)):
        for bit in range(8):
            data = bytearray(STREAM)
            data[position] ^= 1 << bit
            with pytest.raises(FarlookError):
                read_stream(bytes(data))


@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_refused(data):
    for start in (b"", MAGIC, MAGIC + bytes([VERSION]), head_of(HEADER)):
        with pytest.raises(FarlookError):
            read_stream(start + data)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\x8fFLJ", b"hello", b"\0" * 100])
def test_other_files_are_told_from_streams(data):
    with pytest.raises(StreamError, match="not a farlook stream"):
        read_stream(data)


def test_a_newer_version_says_to_update():
    with pytest.raises(StreamVersionError, match=r"version 3.*up to 2.*update"):
        read_header(altered(4, LATEST + 1))


def test_a_stream_of_block8_is_told_from_one_of_version_1(block8, grey):
    stream = block8.encode(grey[:20, :20])
    assert stream_codec(stream) == "block8"
    assert stream_codec(altered(4, VERSION)) == "block8-paper"
    with pytest.raises(StreamVersionError, match="of the codec block8"):
        read_header(stream)
    with pytest.raises(UnknownCodecError, match=r"number 9 in format version 2.*knows 2 block8"):
        stream_codec(stream[:5] + b"\x09" + stream[6:])


@pytest.mark.parametrize("size", range(6))
def test_too_few_bytes_to_tell_the_codec_are_cut_short(block8, grey, size):
    with pytest.raises(TruncatedStreamError):
        stream_codec(block8.encode(grey[:20, :20])[:size])


def test_an_unknown_codec_is_named_by_its_number():
    with pytest.raises(UnknownCodecError, match=r"number 99.*1 block8-paper"):
        read_header(altered(5, 99))


@pytest.mark.parametrize(
    ("position", "value"),
    [(4, 0), (10, 0x73), (10, 0x79), (11, 0), (11, 101), (12, 4), (12, 15), (12, 255)],
    ids=["version 0", "bit 1", "bit 3", "quality 0", "quality 101", "tile 4", "tile 15", "tile 255"],
)
def test_fields_that_no_encoder_writes_are_refused(position, value):
    with pytest.raises(CorruptStreamError):
        read_header(altered(position, value))


@pytest.mark.parametrize(
    ("width", "height"),
    [(MAX_SIDE + 1, 1), (1, MAX_SIDE + 1), (1 << 31, 1 << 31), (1 << 35, 1), (1 << 60, 1 << 60)],
)
def test_claims_of_huge_pictures_are_refused_without_taking_memory(width, height):
    header = dataclasses.replace(HEADER, width=width, height=height)
    stream = write_stream(header, [b"payload"])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptStreamError):
            read_stream(stream)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_picture_of_many_tiles_without_packets_takes_no_memory():
    header = dataclasses.replace(HEADER, width=MAX_SIDE, height=MAX_SIDE)
    tracemalloc.start()
    try:
        with pytest.raises(TruncatedStreamError, match=r"0 of its 262144 packets"):
            read_stream(head_of(header))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_packet_that_claims_gigabytes_is_a_truncated_stream():
    with pytest.raises(TruncatedStreamError):
        read_stream(head_of(HEADER) + b"\x00" + b"\xff\xff\xff\xff\x7f" + b"payload")


def test_a_number_without_end_is_refused():
    with pytest.raises(CorruptStreamError, match="does not end"):
        read_stream(head_of(HEADER) + b"\xff" * 20)


def test_packets_may_come_in_another_order():
    packets = packets_of()
    assert b"".join([head_of(HEADER), *packets]) == STREAM
    assert read_stream(b"".join([head_of(HEADER), *reversed(packets)])) == (HEADER, PAYLOADS)


@pytest.mark.parametrize("missing", range(len(PAYLOADS)))
def test_a_missing_packet_is_counted(missing):
    packets = packets_of()
    del packets[missing]
    with pytest.raises(TruncatedStreamError, match="5 of its 6 packets"):
        read_stream(b"".join([head_of(HEADER), *packets]))


def test_a_packet_that_is_there_twice_is_refused():
    with pytest.raises(CorruptStreamError, match="packet 2 is there twice"):
        read_stream(STREAM + packets_of()[2])


def test_a_packet_of_no_tile_is_refused():
    stream = write_stream(HEADER, [*PAYLOADS, b"six"])
    with pytest.raises(CorruptStreamError, match="packet 6"):
        read_stream(stream)


def test_a_packet_of_another_stream_is_refused():
    other = dataclasses.replace(HEADER, quality=51)
    theirs = packets_of(write_stream(other, PAYLOADS), other)
    ours = packets_of()
    with pytest.raises(CorruptStreamError, match="checksum"):
        read_stream(b"".join([head_of(HEADER), theirs[0], *ours[1:]]))


@pytest.mark.parametrize("extra", [b"\0", b"\xff", b"\0" * 6, b"\n", b"trailing"])
def test_bytes_after_the_last_packet_are_refused(extra):
    with pytest.raises(StreamError):
        read_stream(STREAM + extra)


def test_errors_say_where():
    start = len(head_of(HEADER))
    data = bytearray(STREAM)
    data[start + 3] ^= 1
    with pytest.raises(CorruptStreamError, match=f"packet at byte {start} "):
        read_stream(bytes(data))
