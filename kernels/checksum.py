"""CRC-32C, the checksum of every stream header and packet."""

from __future__ import annotations

from farlook.kernels._native import ffi, lib


def crc32c(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """The CRC-32C (Castagnoli) of `data`, continued from `crc`.

    RFC 3720, appendix B.4.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    return int(lib.fl_crc32c(crc, ffi.from_buffer(data), len(data)))
