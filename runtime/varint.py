"""Fields of streams: reading bytes that may end anywhere, and numbers of a variable size."""

from __future__ import annotations

from farlook.runtime.errors import CorruptStreamError, TruncatedStreamError


def varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Cursor:
    """Reads fields, one after the other.

    Attributes:
        offset: Of the next field.
    """

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset

    def take(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            TruncatedStreamError: There are fewer.
        """
        end = self.offset + size
        if end > len(self.data):
            raise TruncatedStreamError(
                f"the stream ends at byte {len(self.data)}, inside a field that needs {end}: it was cut short"
            )
        piece = self.data[self.offset : end]
        self.offset = end
        return piece

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """The next number.

        Raises:
            CorruptStreamError: It has more than 35 bits.
        """
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise CorruptStreamError(f"the number before byte {self.offset} does not end")
