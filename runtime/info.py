"""What a stream says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from farlook.runtime.stream import packet_size, read_stream, stream_codec


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
        quality: 1 to 100; of block8, whose steps a target chooses freely, to one decimal.
        size: Bytes of the whole stream.
        packets: Packets; of block8-paper one for each tile.
        tile: Side in pixels of a tile, or of the units that block8's packets hold runs of.
        layout: "tiles", where every packet decodes alone, or "progressive".
        largest_packet: Bytes of the largest packet, its frame included.
        step: block8's quantiser step, in levels of an 8-bit sample; None for other codecs.
    """

    codec: str
    digest: str
    width: int
    height: int
    bands: int
    bit_depth: int
    quality: float
    size: int
    packets: int
    tile: int
    layout: str = "tiles"
    largest_packet: int = 0
    step: float | None = None

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
    if stream_codec(data) == "block8":
        # Imported late: streams of the other codecs are described without numpy.
        from farlook.runtime.block8.describe import describe  # noqa: PLC0415

        return describe(data)
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
        largest_packet=max(packet_size(index, len(payload)) for index, payload in enumerate(payloads)),
    )
