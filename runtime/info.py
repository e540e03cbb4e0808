"""What a stream says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from farlook.runtime.stream import read_stream


@dataclass(frozen=True)
class StreamInfo:
    """A stream in numbers.

    Attributes:
        codec: Name of the codec.
        digest: First bytes of the digest of the bundle that it was made with, in hex.
        width: Pixels.
        height: Pixels.
        bands: 1 for grey, 3 for RGB.
        bit_depth: Bits a sample.
        quality: 1 to 100.
        size: Bytes of the whole stream.
        packets: Packets, one for each tile.
        tile: Side of a tile, in pixels.
    """

    codec: str
    digest: str
    width: int
    height: int
    bands: int
    bit_depth: int
    quality: int
    size: int
    packets: int
    tile: int

    @property
    def bpp(self) -> float:
        """Bits a pixel, headers and checksums included."""
        return 8 * self.size / (self.width * self.height)


def info(data: bytes) -> StreamInfo:
    """Describe a stream; every checksum is checked, no pixel is decoded.

    Raises:
        StreamError: The stream is damaged, cut short, or no farlook stream.
        UnknownCodecError: It was made by a codec that this farlook does not have.
    """
    header, payloads = read_stream(data)
    return StreamInfo(
        codec=header.codec,
        digest=header.digest.hex(),
        width=header.width,
        height=header.height,
        bands=header.bands,
        bit_depth=header.bit_depth,
        quality=header.quality,
        size=len(data),
        packets=len(payloads),
        tile=1 << header.tile_log2,
    )
