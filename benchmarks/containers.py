"""What of a file is its container: the boxes around AVIF's items, the RIFF header of WebP."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RIFF, _WEBP = b"RIFF", b"WEBP"
_BOX, _CHUNK = 8, 8
_IMAGES = (b"VP8 ", b"VP8L", b"ALPH")


def container_bytes(data: bytes) -> int:
    """Bytes of a file's container; 0 where the file is a codestream alone, as JPEG, JPEG 2000 and our own are.

    Of WebP, all but the bodies of the chunks with samples: 20 bytes, and more in an extended file. Of AVIF, all but
    the bodies of `mdat` boxes, where the items lie. A codestream of AV1 could not do without all of the rest: it says
    in what order the items are.

    >>> container_bytes(b"RIFF" + bytes(4) + b"WEBPVP8 " + (6).to_bytes(4, "little") + bytes(6))
    20
    """
    if data[:4] == _RIFF and data[8:12] == _WEBP:
        return len(data) - sum(size for name, size in _chunks(data) if name in _IMAGES)
    if data[4:8] == b"ftyp":
        return len(data) - sum(size for name, size in _boxes(data) if name == b"mdat")
    return 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Names of WebP's chunks and the bytes of their bodies, without the byte that evens them."""
    at = 12
    while at + _CHUNK <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], min(size, len(data) - at - _CHUNK)
        at += _CHUNK + size + size % 2


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Names of the outermost boxes of ISO 14496-12 and the bytes of their bodies."""
    at = 0
    while at + _BOX <= len(data):
        size, header = int.from_bytes(data[at : at + 4], "big"), _BOX
        if size == 1:  # a size of 64 bits follows the name
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 2 * _BOX
        if size == 0:  # to the end
            size = len(data) - at
        if size < header:
            return
        yield data[at + 4 : at + 8], min(size, len(data) - at) - header
        at += size
