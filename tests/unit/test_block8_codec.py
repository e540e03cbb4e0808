"""block8 from pixels to bytes and back: sizes, depths, options, threads, and what damaged streams do."""

from __future__ import annotations

import numpy as np
import pytest

import farlook
from farlook.export.bundle import write_tables_bundle
from farlook.kernels.block8 import variants
from farlook.kernels.checksum import crc32c
from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.block8.stream import PREAMBLE, first_header, split_packets
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import (
    BundleError,
    FarlookError,
    ImageError,
    StreamError,
    TruncatedStreamError,
    UnknownCodecError,
    UsageError,
)

SIZES = [(1, 1), (1, 2), (2, 1), (7, 9), (8, 8), (32, 32), (33, 65), (31, 129), (3, 1000)]


def psnr(image, reference, peak=255):
    error = np.mean((image.astype(float) - reference) ** 2)
    return 10 * np.log10(peak**2 / error) if error else np.inf


def deep(image, depth):
    """The picture with samples of 9 to 16 bits."""
    return (image.astype(np.uint16) << 8 | image) >> (16 - depth)


@pytest.fixture(scope="module")
def wide(kodim):
    """A picture of two slices: uint8 [480, 1536, 3]."""
    return np.ascontiguousarray(np.concatenate([kodim, kodim[:, ::-1]], axis=1)[:480])


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("depth", [8, 9, 12, 16])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_pictures_of_any_size_and_depth_come_back(block8, kodim, grey, size, depth, channels):
    source = kodim if channels == "rgb" else grey
    image = np.concatenate([source, source], axis=1)[100 : 100 + size[0], 300 : 300 + size[1]]
    image = image if depth == 8 else deep(image, depth)
    stream = block8.encode(image, quality=90, depth=None if depth in (8, 16) else depth)
    again = block8.decode(stream)
    assert (again.shape, again.dtype) == (image.shape, image.dtype)
    assert psnr(again, image, (1 << depth) - 1) > 26
    assert farlook.info(stream).bit_depth == depth


@pytest.mark.parametrize("size", [(16384, 1), (1, 16384), (16384, 9)])
def test_the_longest_pictures_come_back(block8, size):
    image = np.resize(np.arange(256, dtype=np.uint8), size)
    assert block8.decode(block8.encode(image, quality=1)).shape == size


def test_a_picture_may_be_a_view_in_any_byte_order(block8, kodim):
    view = kodim[::-1, 100:20:-1].swapaxes(0, 1)
    assert block8.encode(view) == block8.encode(np.ascontiguousarray(view))
    samples = deep(kodim[:40, :40, 0], 16)
    assert block8.encode(samples.astype(">u2")) == block8.encode(samples)


def test_quality_buys_fidelity_with_bytes(block8, kodim):
    streams = [block8.encode(kodim, quality=quality) for quality in (1, 12.5, 25, 50, 75, 100)]
    sizes = [len(stream) for stream in streams]
    fidelities = [psnr(block8.decode(stream), kodim) for stream in streams]
    assert sizes == sorted(sizes)
    assert fidelities == sorted(fidelities)
    assert sizes[-1] > 50 * sizes[0]
    assert fidelities[0] > 20
    assert fidelities[-1] > 40
    assert block8.encode(kodim) == streams[3]


@pytest.mark.parametrize("value", [0, 1, 77, 128, 255])
def test_a_flat_picture_is_small_and_nearly_exact(block8, value):
    stream = block8.encode(np.full((512, 512), value, np.uint8))
    assert len(stream) <= 34
    assert np.abs(block8.decode(stream).astype(int) - value).max() <= 2


@pytest.mark.parametrize("options", [{"quality": 60}, {"budget": 20_000}, {"roi": [(9, 9, 90, 90)]}], ids=str)
def test_the_number_of_threads_changes_nothing(block8, wide, options):
    stream = block8.encode(wide, threads=1, **options)
    assert block8.encode(wide, threads=2, **options) == block8.encode(wide, threads=7, **options) == stream
    expected = block8.decode(stream, threads=1)
    np.testing.assert_array_equal(block8.decode(stream, threads=3), expected)
    np.testing.assert_array_equal(block8.decode_lossy(stream, threads=2).image, expected)


def test_all_vector_widths_give_the_same_bytes(block8, wide):
    expected = block8.encode(wide)
    for variant in variants():
        codec = Block8Codec(block8.bundle, variant=variant)
        assert codec.encode(wide) == expected
        np.testing.assert_array_equal(codec.decode(expected), block8.decode(expected))


@pytest.mark.parametrize("mtu", [64, 100, 1024, 16384])
def test_no_packet_is_larger_than_the_mtu(block8, kodim, mtu):
    stream = block8.encode(kodim[:200, :300], quality=70, mtu=mtu)
    sizes = [len(packet) for packet in split_packets(stream)]
    assert max(sizes) <= mtu
    assert sum(sizes) == len(stream)
    assert psnr(block8.decode(stream), kodim[:200, :300]) > (20 if mtu == 64 else 35)


@pytest.mark.parametrize("options", [{}, {"budget": 9000}, {"quality": 80, "mtu": 300}], ids=str)
@pytest.mark.parametrize("kind", [bytearray, lambda size: np.zeros(size, np.uint8)], ids=["bytes", "array"])
def test_a_stream_can_be_written_into_memory_of_ones_own(block8, wide, kind, options):
    stream = block8.encode(wide, **options)
    buffer = kind(len(stream) + 9)
    assert block8.encode_into(wide, buffer, **options) == len(stream)
    assert bytes(buffer[: len(stream)]) == stream
    assert bytes(buffer[len(stream) :]) == bytes(9)
    exact = kind(len(stream))
    assert block8.encode_into(wide, memoryview(exact), **options) == len(stream)


def test_a_buffer_that_will_not_do_says_why(block8, wide):
    needed = len(block8.encode(wide))
    with pytest.raises(UsageError, match=f"has 100 bytes, but the stream takes {needed}"):
        block8.encode_into(wide, bytearray(100))
    with pytest.raises(UsageError, match="bytes is read-only"):
        block8.encode_into(wide, bytes(1 << 20))
    with pytest.raises(UsageError, match="cannot write a stream into list"):
        block8.encode_into(wide, [0] * 100)
    with pytest.raises(UsageError, match="block8 has no option speed"):
        block8.encode_into(wide, bytearray(100), speed=1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"quality": 0.9}, "quality must be a number from 1 to 100"),
        ({"quality": 100.1}, "quality"),
        ({"quality": float("nan")}, "quality"),
        ({"bpp": 0}, "bpp"),
        ({"budget": 10.5}, "budget"),
        ({"quality": 50, "budget": 100}, "give one of"),
        ({"mtu": 63}, "mtu must be a whole number of bytes from 64 to 16384, not 63"),
        ({"mtu": 16385}, "mtu"),
        ({"mtu": 99.5}, "mtu"),
        ({"layout": "heap"}, "no layout 'heap'; choose one of: tiles, progressive"),
        ({"threads": -1}, "threads"),
        ({"depth": 12}, "depth 12 is for uint16 samples"),
        ({"layout": "progressive", "roi": [(0, 0, 8, 8)]}, "need the layout tiles"),
    ],
    ids=str,
)
def test_options_outside_their_range_are_refused(block8, grey, options, reason):
    with pytest.raises(UsageError, match=reason):
        block8.encode(grey[:16, :16], **options)


@pytest.mark.parametrize("depth", [7, 8, 17, 10.5])
def test_depths_that_uint16_does_not_have_are_refused(block8, depth):
    with pytest.raises(UsageError, match="a whole number from 9 to 16"):
        block8.encode(np.zeros((8, 8), np.uint16), depth=depth)


def test_samples_that_do_not_fit_the_depth_are_refused(block8):
    with pytest.raises(ImageError, match="samples up to 1024, but 10 bits end at 1023"):
        block8.encode(np.full((8, 8), 1024, np.uint16), depth=10)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint32, np.bool_])
def test_other_samples_are_refused(block8, dtype):
    with pytest.raises(ImageError, match=r"only 8-bit ones .uint8. and 9- to 16-bit ones"):
        block8.encode(np.zeros((8, 8), dtype))


def test_every_cut_of_a_stream_is_refused(block8, kodim):
    stream = block8.encode(kodim[200:240, 300:372], quality=75, mtu=100)
    assert len(split_packets(stream)) > 3
    for size in range(len(stream)):
        with pytest.raises(StreamError):
            block8.decode(stream[:size])


def test_every_flipped_bit_of_a_stream_is_refused(block8, kodim):
    stream = block8.encode(kodim[200:232, 300:340], quality=30)
    for position in range(len(stream)):
        damaged = bytearray(stream)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(FarlookError):
            block8.decode(bytes(damaged))


def test_a_packet_that_is_missing_or_there_twice_is_refused(block8, kodim):
    packets = split_packets(block8.encode(kodim[:64, :96], quality=80, mtu=200))
    with pytest.raises(TruncatedStreamError, match="--lossy"):
        block8.decode(b"".join(packets[:2] + packets[3:]))
    with pytest.raises(TruncatedStreamError):
        block8.decode(b"".join([*packets, packets[-1]]))


def make_stream(raw, body):
    """A stream of one packet: the header, then `body`."""
    size = (len(raw) + len(body) | 0x4000).to_bytes(2, "little")
    checksum = crc32c(raw + body, crc32c(size, crc32c(raw))).to_bytes(4, "little")[:3]
    return PREAMBLE + size + checksum + raw + body


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    ("kind", "step", "size"),
    [
        (0x71, 400, (16385, 1)),
        (0x71, 400, (1 << 31, 1 << 31)),
        (0x71, 832, (8, 8)),
        (0x61, 400, (8, 8)),
        (0x7D, 400, (8, 8)),
    ],
    ids=["too wide", "2^31", "step", "depth of 7", "layout"],
)
def test_headers_that_lie_with_a_right_checksum_are_refused(block8, kind, step, size):
    digest = block8.bundle.digest[:2]
    raw = bytes([kind, *step.to_bytes(2, "little")]) + digest + varint(size[0] - 1) + varint(size[1] - 1)
    for work in (block8.decode, farlook.info):
        with pytest.raises(StreamError):
            work(make_stream(raw, b"\0\0"))


def test_a_few_bytes_cannot_make_the_decoder_take_gigabytes(block8, monkeypatch):
    def fail(*_):
        raise AssertionError("memory was taken")

    monkeypatch.setattr("farlook.runtime.block8.decode.Coefficients", fail)
    raw = b"\x71\x90\x01" + block8.bundle.digest[:2] + varint(16383) * 2
    everything = b"\0" + varint(512 * 512 - 1)
    with pytest.raises(StreamError, match="more units than a packet holds"):
        block8.decode(make_stream(raw, everything))
    with pytest.raises(TruncatedStreamError):
        block8.decode(make_stream(raw, b"\0\0"))


def test_payloads_that_pass_their_checksum_decode_or_are_refused(block8, kodim):
    stream = block8.encode(kodim[200:232, 300:340], quality=40)
    header = first_header(stream)
    body = bytearray(stream[len(PREAMBLE) + 5 + len(header.raw) :])
    rng = np.random.default_rng(2)
    for _ in range(200):
        damaged = body.copy()
        for at in rng.integers(2, len(body), 3):
            damaged[at] = rng.integers(256)
        try:
            assert block8.decode(make_stream(header.raw, bytes(damaged))).shape == (32, 40, 3)
        except StreamError:
            continue


def test_another_bundle_is_refused_and_both_are_named(block8, tmp_path, grey):
    tables = find_bundle("block8").tables()
    coding = {"codec": "block8", "layout": "block8", "made_by": "a test"}
    write_tables_bundle(tmp_path / "mine.bundle", coding=coding, tables=tables, training={})
    other = farlook.Codec.load(tmp_path / "mine.bundle")
    stream = other.encode(grey[:16, :16])
    assert other.decode(stream).shape == (16, 16)
    for work in (block8.decode, block8.decode_lossy):
        with pytest.raises(BundleError, match="decode it with the bundle it was made with") as caught:
            work(stream)
        assert other.bundle.digest[:2].hex() in str(caught.value)
        assert block8.bundle.digest[:2].hex() in str(caught.value)


def test_streams_of_the_other_codec_are_refused(block8, codec, grey):
    with pytest.raises(BundleError, match=r"the stream was made with block8-paper, but .* is of block8"):
        block8.decode(codec.encode(grey[:16, :16]))
    with pytest.raises(BundleError, match=r"the stream was made with block8, but .* is of block8-paper"):
        codec.decode(block8.encode(grey[:16, :16]))


def test_a_bundle_of_an_unknown_codec_or_backend_is_refused(tmp_path):
    write_tables_bundle(
        tmp_path / "a.bundle",
        coding={"codec": "block9", "layout": "block8"},
        tables=find_bundle("block8").tables(),
        training={},
    )
    with pytest.raises(UnknownCodecError, match="'block9'"):
        farlook.Codec.load(tmp_path / "a.bundle")
    with pytest.raises(UsageError, match="no backend 'ort' for block8: choose one of: auto, native"):
        farlook.Codec.load("block8", backend="ort")


def test_the_codec_says_what_it_is(block8):
    assert isinstance(block8, Block8Codec)
    assert (block8.backend, block8.bundle.codec, block8.deep) == ("native", "block8", True)
