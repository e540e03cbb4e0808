"""Stream format v1: a header, then packets that each decode alone. `docs/format.md` is the specification.

`stream_codec` tells the codec of a stream of any version; `farlook.runtime.block8.stream` reads version 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farlook.kernels.checksum import crc32c
from farlook.runtime.errors import (
    CorruptStreamError,
    StreamError,
    StreamVersionError,
    TruncatedStreamError,
    UnknownCodecError,
    UsageError,
)
from farlook.runtime.tiles import TileGrid
from farlook.runtime.varint import Cursor, varint

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"\x8fFLK"
VERSION = 1
LATEST = 2
"""The newest version that this farlook reads: block8's."""
MAX_SIDE = 16384
TILE_LOG2 = range(5, 11)
DIGEST_BYTES = 4
CODECS = {1: "block8-paper", 2: "fera", 3: "aara", 4: "mrdcae", 5: "mfca"}
"""Codec numbers in a header of version 1; a number, once given, stays."""

_BLOCK8 = (2, "block8")
_CRC_BYTES = 4


@dataclass(frozen=True)
class Header:
    """What a decoder must know before the first packet.

    Attributes:
        codec: Name of the codec, one of `CODECS`.
        digest: First four bytes of the bundle's coding digest.
        width: Pixels, 1 to 16384.
        height: Pixels, 1 to 16384.
        bands: 1 for grey, 3 for RGB.
        bit_depth: Bits a sample, 8.
        quality: 1 to 100.
        tile_log2: A tile is a square of 2^tile_log2 pixels.
    """

    codec: str
    digest: bytes
    width: int
    height: int
    bands: int
    bit_depth: int
    quality: int
    tile_log2: int

    @property
    def tiles(self) -> TileGrid:
        """The tiles of the picture; packet i holds tile i."""
        return TileGrid(self.width, self.height, 1 << self.tile_log2)

    def pack(self) -> bytes:
        """The header's bytes, checksum included."""
        number = next(key for key, name in CODECS.items() if name == self.codec)
        fields = bytes(
            [
                number,
                *self.digest,
                (self.bands == 3) | (self.bit_depth - 1) << 4,
                self.quality,
                self.tile_log2,
            ]
        )
        body = MAGIC + bytes([VERSION]) + fields + varint(self.width - 1) + varint(self.height - 1)
        return body + crc32c(body).to_bytes(_CRC_BYTES, "little")


def write_stream(header: Header, payloads: Sequence[bytes]) -> bytes:
    """The stream of a picture whose tile i is coded as `payloads[i]`."""
    head = header.pack()
    seed = _packet_seed(head)
    return head + b"".join(_pack_packet(index, payload, seed) for index, payload in enumerate(payloads))


def stream_size(header: Header, payload_sizes: Sequence[int]) -> int:
    """How many bytes `write_stream` would make of payloads of these sizes."""
    return len(header.pack()) + sum(packet_size(index, size) for index, size in enumerate(payload_sizes))


def packet_size(index: int, payload_size: int) -> int:
    """How many bytes a packet takes with its frame."""
    return len(varint(index)) + len(varint(payload_size)) + payload_size + _CRC_BYTES


def stream_codec(data: bytes) -> str:
    """The name of the codec that made a stream, by its first bytes.

    Raises:
        StreamError: The bytes are no farlook stream, are cut short, damaged, or of a newer version.
        UnknownCodecError: The codec's number is not known to this version.
    """
    cursor = _begin(data)
    if cursor.byte() != LATEST:
        return read_header(data).codec
    number, name = _BLOCK8
    found = cursor.byte()
    if found != number:
        raise UnknownCodecError(
            f"the stream's codec has number {found} in format version {LATEST}; this farlook knows {number} {name}"
        )
    return name


def read_header(data: bytes) -> Header:
    """Read and check a stream's header; takes no memory that the header asks for.

    Raises:
        StreamError: The bytes are no farlook stream, are cut short, damaged, or of a newer version.
        UnknownCodecError: The codec's number is not known to this version.
    """
    return _read_header(data)[0]


def read_stream(data: bytes) -> tuple[Header, list[bytes]]:
    """Split a stream into its header and one payload a tile, every checksum checked.

    Packets may stand in any order. Nothing is allocated for the picture.

    Raises:
        StreamError: See `read_header`; a packet is damaged, missing, there twice, or followed by other bytes.
        UnknownCodecError: The codec's number is not known to this version.
    """
    header, offset = _read_header(data)
    count = header.tiles.count
    seed = _packet_seed(data[:offset])
    payloads: dict[int, bytes] = {}
    while offset < len(data):
        index, payload, offset = _read_packet(data, offset, seed)
        if index >= count or index in payloads:
            raise CorruptStreamError(f"packet {index} is there twice or belongs to no tile of the picture")
        payloads[index] = payload
    if len(payloads) < count:
        raise TruncatedStreamError(
            f"the stream holds {len(payloads)} of its {count} packets: it was cut short; get it again whole"
        )
    return header, [payloads[index] for index in range(count)]


def _begin(data: bytes) -> Cursor:
    """What reads on after the magic, once that is checked."""
    if not isinstance(data, (bytes, bytearray)):
        raise UsageError(f"a stream is bytes, not {type(data).__name__}; read the file first")
    if not data:
        raise TruncatedStreamError("the stream is empty")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise StreamError("not a farlook stream: it does not begin with the bytes 8f 46 4c 4b")
    return Cursor(data, len(MAGIC))


def _read_header(data: bytes) -> tuple[Header, int]:
    cursor = _begin(data)
    version = cursor.byte()
    if version > LATEST:
        raise StreamVersionError(
            f"the stream is of format version {version}, this farlook reads up to {LATEST}: "
            "update it (pip install -U farlook), or the stream is damaged"
        )
    if version > VERSION:
        raise StreamVersionError(f"the stream is of format version {version}, of the codec {_BLOCK8[1]}")
    number = cursor.byte()
    digest = cursor.take(DIGEST_BYTES)
    kind, quality, tile_log2 = cursor.byte(), cursor.byte(), cursor.byte()
    width, height = cursor.varint() + 1, cursor.varint() + 1
    checksum = crc32c(data[: cursor.offset])
    if cursor.take(_CRC_BYTES) != checksum.to_bytes(_CRC_BYTES, "little"):
        raise CorruptStreamError("the stream's header is damaged: its checksum does not hold")
    if version == 0 or kind & 0x0E or not 1 <= quality <= 100:
        raise CorruptStreamError("the stream's header holds values that no encoder writes")
    if max(width, height) > MAX_SIDE or tile_log2 not in TILE_LOG2:
        raise CorruptStreamError(
            f"the stream claims a picture of {width}x{height} pixels in tiles of 2^{tile_log2}; "
            f"the format ends at {MAX_SIDE}x{MAX_SIDE} and 2^{TILE_LOG2[-1]}"
        )
    if number not in CODECS:
        known = ", ".join(f"{key} {name}" for key, name in CODECS.items())
        raise UnknownCodecError(f"the stream's codec has number {number}; this farlook knows {known}")
    header = Header(
        codec=CODECS[number],
        digest=digest,
        width=width,
        height=height,
        bands=3 if kind & 1 else 1,
        bit_depth=(kind >> 4) + 1,
        quality=quality,
        tile_log2=tile_log2,
    )
    return header, cursor.offset


def _packet_seed(head: bytes) -> int:
    """Packets continue the header's checksum, so that one of another picture does not pass for this one's."""
    return int.from_bytes(head[-_CRC_BYTES:], "little")


def _pack_packet(index: int, payload: bytes, seed: int) -> bytes:
    body = varint(index) + varint(len(payload)) + payload
    return body + crc32c(body, seed).to_bytes(_CRC_BYTES, "little")


def _read_packet(data: bytes, offset: int, seed: int) -> tuple[int, bytes, int]:
    cursor = Cursor(data, offset)
    index, size = cursor.varint(), cursor.varint()
    payload = cursor.take(size)
    checksum = crc32c(data[offset : cursor.offset], seed)
    if cursor.take(_CRC_BYTES) != checksum.to_bytes(_CRC_BYTES, "little"):
        raise CorruptStreamError(f"the packet at byte {offset} is damaged: its checksum does not hold")
    return index, payload, cursor.offset
