"""Progressive streams: every cut shows the whole picture, and the more bytes the better."""

import numpy as np
import pytest

from farlook.benchmarks.metrics import psnr
from farlook.kernels.block8 import variants
from farlook.kernels.checksum import crc32c
from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.block8.stream import PREAMBLE, first_header, read_packet, split_packets
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import CorruptStreamError, StreamError


@pytest.fixture(scope="module")
def picture(kodim):
    return np.ascontiguousarray(kodim[120:330, 90:390])


@pytest.fixture(scope="module")
def codec():
    return Block8Codec(find_bundle("block8"))


@pytest.fixture(scope="module")
def stream(codec, picture):
    return codec.encode(picture, quality=45, layout="progressive", mtu=200)


def test_every_packet_keeps_to_the_mtu(stream):
    packets = split_packets(stream)
    assert b"".join(packets) == stream
    assert max(map(len, packets)) <= 200


def test_more_bytes_show_more(codec, picture, stream):
    cuts = [len(stream) * share // 100 for share in (6, 12, 25, 50, 75, 100)]
    shown = [psnr(picture, codec.decode(stream[:cut])) for cut in cuts]
    assert shown == sorted(shown)
    assert shown[0] > 15
    assert shown[-1] > psnr(picture, codec.decode(codec.encode(picture, quality=45))) - 0.5


def test_a_cut_at_any_byte_decodes_to_the_whole_picture(codec, picture, stream):
    begin = len(split_packets(stream)[0])
    for cut in range(begin, len(stream), 397):
        assert codec.decode(stream[:cut]).shape == picture.shape


def test_a_cut_before_the_first_packet_ends_is_an_error(codec, stream):
    with pytest.raises(StreamError):
        codec.decode(stream[: len(PREAMBLE) + 20])


def test_all_vector_widths_agree(picture, stream):
    for variant in variants():
        codec = Block8Codec(find_bundle("block8"), variant=variant)
        assert codec.encode(picture, quality=45, layout="progressive", mtu=200) == stream
        assert np.array_equal(codec.decode(stream), Block8Codec(find_bundle("block8")).decode(stream))


def test_packets_may_be_missing(codec, picture, stream):
    packets = split_packets(stream)
    left = [packet for number, packet in enumerate(packets) if number % 3 != 1]
    shown = codec.decode_lossy(left)
    assert shown.image.shape == picture.shape
    assert psnr(picture, shown.image) > 12


def test_a_packet_that_checks_but_does_not_decode_counts_as_missing(codec, stream):
    header, packets = first_header(stream).raw, split_packets(stream)
    at = next(i for i, packet in enumerate(packets) if i > 0 and read_packet(packet, header).layer == 1)
    fields = packets[at][5:] + b"\xff" * 40  # more than its units take
    word = (int.from_bytes(packets[at][:2], "little") & 0xC000 | len(fields)).to_bytes(2, "little")
    checksum = crc32c(word + fields, crc32c(header)).to_bytes(4, "little")[:3]
    forged = [*packets[:at], word + checksum + fields, *packets[at + 1 :]]
    with pytest.raises(CorruptStreamError):
        codec.decode(b"".join(forged))
    shown = codec.decode_lossy(forged)
    expected = codec.decode_lossy([*packets[:at], *packets[at + 1 :]])
    assert np.array_equal(shown.image, expected.image)
