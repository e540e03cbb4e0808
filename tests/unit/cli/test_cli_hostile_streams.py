"""Streams that are cut short, damaged or made to do harm."""

from __future__ import annotations

from dataclasses import replace

import pytest

from farlook.kernels.checksum import crc32c
from farlook.runtime.stream import read_header

DECODE_HUGE = """
import sys
from pathlib import Path
from farlook.cli.run import run
code = run(sys.argv[1:])
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
sys.exit(code)
"""


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def make_header(stream, *, version=1, number=1, size=(24, 16)):
    """A header with a checksum that holds; its digest, kind, quality and tile are the stream's."""
    body = stream[:4] + bytes([version, number]) + stream[6:13] + varint(size[0] - 1) + varint(size[1] - 1)
    return body + crc32c(body).to_bytes(4, "little")


def test_the_headers_made_here_are_like_the_encoders(small_stream):
    header = make_header(small_stream)
    assert small_stream.startswith(header)
    assert read_header(header) == read_header(small_stream)


@pytest.mark.parametrize("verb", ["info", "decode"])
def test_a_stream_cut_anywhere_is_refused(cli, tmp_path, tree, small_stream, verb):
    path = tmp_path / "cut.flk"
    targets = [tmp_path / "out.png"] if verb == "decode" else []
    for size in range(len(small_stream)):
        path.write_bytes(small_stream[:size])
        result = cli(verb, path, *targets)
        assert result.code == 4, size
        assert "cut short" in result.complaint or "empty" in result.complaint
    assert tree(tmp_path) == ["cut.flk"]
    path.write_bytes(small_stream)
    assert cli(verb, path, *targets).code == 0


def test_every_flipped_bit_is_noticed(cli, tmp_path, tree, small_stream):
    path = tmp_path / "flipped.flk"
    for bit in range(8 * len(small_stream)):
        flipped = bytearray(small_stream)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        result = cli("decode", path, tmp_path / "out.png")
        assert result.code == 4, bit
        assert result.complaint
    assert tree(tmp_path) == ["flipped.flk"]


@pytest.mark.parametrize("verb", ["info", "decode"])
@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"version": 3}, 4, "format version 3, this farlook reads up to 2"),
        ({"version": 2}, 5, "codec has number 1 in format version 2; this farlook knows 2 block8"),
        ({"version": 2, "number": 2}, 4, "ends at byte"),
        ({"version": 0}, 4, "values that no encoder writes"),
        ({"number": 200}, 5, "codec has number 200; this farlook knows 1 block8-paper"),
        ({"size": (1 << 31, 1 << 31)}, 4, "2147483648x2147483648 pixels"),
        ({"size": (16385, 1)}, 4, "16385x1 pixels"),
        ({"size": (16384, 16384)}, 4, "0 of its 4096 packets"),
    ],
    ids=[
        "newer",
        "of version 2",
        "of block8",
        "version 0",
        "unknown codec",
        "2^31",
        "one too wide",
        "4096 tiles, no packet",
    ],
)
def test_headers_that_lie_with_a_right_checksum(
    cli, tmp_path, tree, small_stream, verb, change, code, reason
):
    path = tmp_path / "lie.flk"
    path.write_bytes(make_header(small_stream, **change))
    result = cli(verb, path, *([tmp_path / "out.png"] if verb == "decode" else []))
    assert result.code == code
    assert reason in result.complaint
    assert tree(tmp_path) == ["lie.flk"]


def test_bytes_after_the_last_packet_are_refused(cli, tmp_path, small_stream):
    path = tmp_path / "long.flk"
    for surplus in (b"\0", small_stream, small_stream[len(make_header(small_stream)) :]):
        path.write_bytes(small_stream + surplus)
        result = cli("info", path)
        assert (result.code, bool(result.complaint)) == (4, True)


def test_another_bundles_digest_is_refused(cli, tmp_path, small_stream):
    header = read_header(small_stream)
    foreign = replace(header, digest=b"\0\0\0\0").pack()
    (tmp_path / "foreign.flk").write_bytes(foreign)
    assert cli("decode", tmp_path / "foreign.flk", tmp_path / "out.png").code in (4, 5)


def test_a_huge_claim_takes_no_memory(start, finish, tmp_path, stream, small_stream):
    (tmp_path / "good.flk").write_bytes(stream)
    commands = [["info", tmp_path / "good.flk"], ["decode", tmp_path / "good.flk", tmp_path / "good.png"]]
    for name, size in (("2^31", 1 << 31), ("largest", 16384)):
        (tmp_path / f"{name}.flk").write_bytes(make_header(small_stream, size=(size, size)))
        commands += [["decode", tmp_path / f"{name}.flk", tmp_path / "out.png"]]
    results = [finish(process) for process in [start(*command, code=DECODE_HUGE) for command in commands]]
    assert [result.code for result in results] == [0, 0, 4, 4]
    info, decode, huge, largest = (int(result.out.split()[-1]) / 1024 for result in results)
    assert huge < info + 60
    assert largest < decode + 60
    assert not (tmp_path / "out.png").exists()
