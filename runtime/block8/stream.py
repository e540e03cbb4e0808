"""block8's stream: packets that each decode alone, the stream's header repeated in some. `docs/block8-format.md`.

The C core writes packets; here they are read, from a whole stream or from what is left of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farlook.kernels.block8 import MAX_SIDE, STEPS, Geometry, Packet
from farlook.kernels.block8_layers import layer_count, layer_step
from farlook.kernels.checksum import crc32c
from farlook.runtime.errors import CorruptStreamError, StreamError, TruncatedStreamError
from farlook.runtime.varint import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable

PREAMBLE = b"\x8fFLK\x02\x02"
"""Magic, format version 2, codec number 2."""

LAYOUTS = ("tiles", "progressive")
_INTERLEAVED = 2
"""Of the header: the layout "tiles", with units that touch in different packets."""

DIGEST_BYTES = 2

_FRAME = 5
_HEADER_FLAG = 0x4000
_STEP_FLAG = 0x8000
_LENGTH = 0x3FFF


@dataclass(frozen=True)
class Header:
    """What all packets of a stream share.

    Attributes:
        geometry: Size, bands and depth.
        step: Index of the quantiser step of packets that have none of their own.
        has_finer: Units say how much finer their steps are.
        layout: "tiles" or "progressive".
        interleaved: Units that touch are in different packets.
        digest: First two bytes of the digest of the bundle.
        raw: The header's bytes.
    """

    geometry: Geometry
    step: int
    has_finer: bool
    layout: str
    interleaved: bool
    digest: bytes
    raw: bytes


def read_header(data: bytes, offset: int = 0) -> Header:
    """Read the header that begins at `offset`.

    Raises:
        StreamError: It is cut short, or holds what no encoder writes.
    """
    cursor = Cursor(data, offset)
    kind = cursor.byte()
    step = cursor.byte() | cursor.byte() << 8
    digest = cursor.take(DIGEST_BYTES)
    width, height = cursor.varint() + 1, cursor.varint() + 1
    depth, layout = (kind >> 4) + 1, kind >> 2 & 3
    if max(width, height) > MAX_SIDE or step >= STEPS or depth < 8 or layout > _INTERLEAVED:
        raise CorruptStreamError("the stream's header holds values that no encoder writes")
    geometry = Geometry(width, height, 3 if kind & 1 else 1, depth)
    interleaved = layout == _INTERLEAVED
    return Header(
        geometry,
        step,
        bool(kind & 2),
        "tiles" if interleaved else LAYOUTS[layout],
        interleaved,
        digest,
        data[offset : cursor.offset],
    )


def first_header(data: bytes) -> Header:
    """The header of a stream that is whole up to there.

    Raises:
        StreamError: The bytes are no block8 stream, are cut short, or damaged.
    """
    if data[: len(PREAMBLE)] != PREAMBLE:
        raise StreamError("not a block8 stream: it does not begin with the bytes 8f 46 4c 4b 02 02")
    offset = len(PREAMBLE)
    _, flags, end = _frame(data, offset)
    if not flags & _HEADER_FLAG:
        raise CorruptStreamError("the stream's first packet holds no header")
    header = read_header(data, offset + _FRAME)
    read_packet(data[offset:end], header.raw)
    return header


def read_packet(data: bytes, header: bytes) -> Packet:
    """Read a packet, whole in `data`, of a stream with this header.

    Raises:
        StreamError: It is cut short or damaged, or of another stream.
    """
    size, flags, end = _frame(data, 0)
    if end != len(data):
        raise CorruptStreamError(f"a packet of {len(data)} bytes claims {size}")
    checksum = crc32c(data[_FRAME:], crc32c(data[:2], crc32c(header)))
    if checksum.to_bytes(4, "little")[:3] != data[2:_FRAME]:
        raise CorruptStreamError("a packet is damaged, or of another stream: its checksum does not hold")
    cursor = Cursor(data, _FRAME + (len(header) if flags & _HEADER_FLAG else 0))
    first, count = cursor.varint(), cursor.varint() + 1
    step, layer = header[1] | header[2] << 8, 0
    if header[0] >> 2 & 3 == LAYOUTS.index("progressive"):
        layer = cursor.byte()
        if layer >= layer_count(step):
            raise CorruptStreamError(f"a packet is of layer {layer}, but the stream has {layer_count(step)}")
        step = layer_step(step, layer)
    if flags & _STEP_FLAG:
        step = cursor.byte() | cursor.byte() << 8
    return Packet(first, count, step, data[cursor.offset :], layer)


def split_packets(stream: bytes, *, cut: bool = False) -> list[bytes]:
    """The packets of a whole stream, framed; joined they are the stream, the first has its preamble.

    Args:
        stream: All of it.
        cut: The stream may end inside a packet, which is left out.

    Raises:
        TruncatedStreamError: The stream is cut short inside a packet.
    """
    offset, begin, packets = min(len(PREAMBLE), len(stream)), 0, []
    while offset < len(stream):
        try:
            _, _, end = _frame(stream, offset)
        except TruncatedStreamError:
            if cut:
                break
            raise
        packets.append(stream[begin:end])
        begin = offset = end
    return packets


def read_stream(stream: bytes) -> tuple[Header, list[Packet]]:
    """A stream's header and packets; every checksum is checked.

    Args:
        stream: Whole; one of the layout "progressive" may be cut anywhere after its first packet.

    Raises:
        StreamError: The stream is damaged, cut short, or lacks units.
    """
    header = first_header(stream)
    framed = split_packets(stream, cut=header.layout == "progressive")
    framed[0] = framed[0][len(PREAMBLE) :]
    packets = [read_packet(packet, header.raw) for packet in framed]
    if not all(_fits(header, packet) for packet in packets):
        raise CorruptStreamError(
            "a packet holds units beyond the picture, or has a step that no encoder writes"
        )
    if header.layout == "tiles":
        _check_complete(header, packets)
    return header, packets


def salvage(pieces: Iterable[bytes]) -> tuple[Header, list[Packet]]:
    """Find every packet that is whole in what is left of a stream.

    Args:
        pieces: Received packets in any order, or one stream with gaps.

    Raises:
        StreamError: No packet that repeats the stream's header is whole.
    """
    data = [bytes(piece) for piece in pieces]
    header = next((found for piece in data if (found := _find_header(piece)) is not None), None)
    if header is None:
        raise StreamError(
            "no packet with the stream's header is whole: nothing can be decoded; get one of the packets 0, 1, 2, 4, "
            "8, ... again"
        )
    packets: dict[tuple[int, int, int], Packet] = {}
    for piece in data:
        for packet in _whole_packets(piece, header):
            packets.setdefault((packet.layer, packet.first, packet.count), packet)
    kept = list(packets.values())
    return header, _disjoint(kept) if header.layout == "tiles" else kept


def _fits(header: Header, packet: Packet) -> bool:
    return packet.first + packet.count <= header.geometry.units and packet.step < STEPS


def _disjoint(packets: list[Packet]) -> list[Packet]:
    """In order, without those that hold units of others, as no encoder writes them."""
    kept, end = [], 0
    for packet in sorted(packets, key=lambda packet: packet.first):
        if packet.first >= end:
            kept.append(packet)
            end = packet.first + packet.count
    return kept


def _check_complete(header: Header, packets: list[Packet]) -> None:
    expected = 0
    for packet in sorted(packets, key=lambda packet: packet.first):
        if packet.first != expected:
            raise TruncatedStreamError(
                f"units {min(expected, packet.first)} to {max(expected, packet.first)} are missing or there twice: "
                "decode what is there with --lossy"
            )
        expected += packet.count
    if expected != header.geometry.units:
        raise TruncatedStreamError(
            f"the stream holds {expected} of its {header.geometry.units} units: it was cut short; decode what is "
            "there with --lossy"
        )


def _frame(data: bytes, offset: int) -> tuple[int, int, int]:
    """Size and flags of the packet at `offset`, and where it ends."""
    if offset + _FRAME > len(data):
        raise TruncatedStreamError(
            f"the stream ends at byte {len(data)}, inside a packet's head: it was cut short"
        )
    word = data[offset] | data[offset + 1] << 8
    end = offset + _FRAME + (word & _LENGTH)
    if end > len(data):
        raise TruncatedStreamError(
            f"the stream ends at byte {len(data)}, inside a packet that needs {end}: it was cut short"
        )
    return word & _LENGTH, word & ~_LENGTH, end


def _find_header(piece: bytes) -> Header | None:
    for offset in _starts(piece):
        try:
            _, flags, end = _frame(piece, offset)
            if flags & _HEADER_FLAG:
                header = read_header(piece, offset + _FRAME)
                read_packet(piece[offset:end], header.raw)
                return header
        except StreamError:
            continue
    return None


def _whole_packets(piece: bytes, header: Header) -> list[Packet]:
    packets, offset = [], 0
    while offset + _FRAME <= len(piece):
        try:
            _, _, end = _frame(piece, offset)
            packet = read_packet(piece[offset:end], header.raw)
        except StreamError:
            offset += 1
            continue
        if _fits(header, packet):
            packets.append(packet)
        offset = end
    return packets


def _starts(piece: bytes) -> list[int]:
    """Where packets may begin: after the preamble, at the front, then anywhere."""
    front = [len(PREAMBLE)] if piece.startswith(PREAMBLE) else [0]
    return [*front, *(offset for offset in range(len(piece) - _FRAME) if offset not in front)]
