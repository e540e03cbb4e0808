"""CRC-32C, against the test vectors of RFC 3720."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.kernels.checksum import crc32c

ISCSI_READ = bytes.fromhex(
    "01c00000 00000000 00000000 00000000 14000000 00000400 00000014 00000018 28000000 00000000 02000000 00000000"
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (ISCSI_READ, 0xD9963A56),
    ],
    ids=["empty", "digits", "zeros", "ones", "up", "down", "iscsi"],
)
def test_vectors_of_rfc_3720(data, expected):
    assert crc32c(data) == expected


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_checksum_can_be_continued(first, second):
    assert crc32c(second, crc32c(first)) == crc32c(first + second)


def test_every_kind_of_buffer_gives_the_same():
    data = b"\x00farlook\xff"
    assert crc32c(data) == crc32c(bytearray(data)) == crc32c(memoryview(b"_" + data)[1:])


def test_every_single_bit_matters():
    data = bytes(range(40))
    flipped = [
        data[:i] + bytes([data[i] ^ 1 << bit]) + data[i + 1 :] for i in range(len(data)) for bit in range(8)
    ]
    assert crc32c(data) not in {crc32c(other) for other in flipped}
