"""What a stream says of itself."""

from __future__ import annotations

import pytest

import farlook
from farlook.runtime.errors import StreamError, TruncatedStreamError
from farlook.runtime.stream import Header, write_stream


def test_every_field_is_told():
    header = Header("block8-paper", b"\xab\xcd\xef\x01", 300, 500, 3, 8, quality=42, tile_log2=8)
    stream = write_stream(header, [b"payload"] * 4)
    told = farlook.info(stream)
    assert told == farlook.StreamInfo(
        codec="block8-paper",
        digest="abcdef01",
        width=300,
        height=500,
        bands=3,
        bit_depth=8,
        quality=42,
        size=len(stream),
        packets=4,
        tile=256,
        layout="tiles",
        largest_packet=13,
        step=None,
    )
    assert told.bpp == pytest.approx(8 * len(stream) / 150_000)


def test_a_real_stream_is_described(codec, kodim):
    stream = codec.encode(kodim, bpp=0.2)
    told = farlook.info(stream)
    assert (told.width, told.height, told.bands, told.packets) == (768, 512, 3, 6)
    assert told.digest == codec.bundle.digest[:4].hex()
    assert told.bpp <= 0.2


def test_a_stream_of_block8_is_described(block8, kodim):
    stream = block8.encode(kodim, quality=40, mtu=300)
    told = farlook.info(stream)
    assert (told.codec, told.width, told.height, told.bands, told.bit_depth) == ("block8", 768, 512, 3, 8)
    assert told.digest == block8.bundle.digest[:2].hex()
    assert (told.layout, told.tile, told.size) == ("tiles, interleaved", 32, len(stream))
    assert told.quality == pytest.approx(40, abs=0.1)
    assert 250 < told.largest_packet <= 300
    assert told.packets >= len(stream) / 300
    assert 15 < told.step < 30
    with pytest.raises(TruncatedStreamError):
        farlook.info(stream[:-1])


def test_a_stream_of_another_bundle_can_be_described_too():
    header = Header("block8-paper", b"\0\0\0\0", 1, 1, 1, 8, quality=1, tile_log2=5)
    assert farlook.info(write_stream(header, [b"whatever"])).digest == "00000000"


@pytest.mark.parametrize("data", [b"", b"hello", b"\x8fFLK"])
def test_what_is_no_stream_is_refused(data):
    with pytest.raises(StreamError):
        farlook.info(data)


def test_checksums_of_packets_are_checked(codec, grey):
    stream = codec.encode(grey[:40, :40])
    with pytest.raises(TruncatedStreamError):
        farlook.info(stream[:-1])
    with pytest.raises(StreamError):
        farlook.info(stream[:-1] + bytes([stream[-1] ^ 1]))
