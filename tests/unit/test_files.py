"""Files that are either whole or absent."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from farlook.runtime.errors import OutputError, StreamError
from farlook.runtime.files import (
    atomic_write,
    check_destination,
    read_pieces,
    read_stream_file,
    write_bytes,
    write_packets,
)
from farlook.runtime.stream import MAGIC


@pytest.fixture
def umask():
    """A setter of the umask, which is put back afterwards."""
    held = os.umask(0o022)
    yield os.umask
    os.umask(held)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(path, interruption):
    with atomic_write(path) as file:
        file.write(b"half a str")
        raise interruption


def test_bytes_arrive_and_nothing_else_is_left(tmp_path):
    write_bytes(tmp_path / "a.flk", b"stream")
    assert (tmp_path / "a.flk").read_bytes() == b"stream"
    assert names(tmp_path) == ["a.flk"]


def test_the_file_appears_only_at_the_end(tmp_path):
    with atomic_write(tmp_path / "a.flk") as file:
        file.write(b"stream")
        file.flush()
        assert not (tmp_path / "a.flk").exists()
    assert (tmp_path / "a.flk").exists()


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "a.flk").write_bytes(b"something longer")
    write_bytes(str(tmp_path / "a.flk"), b"new")
    assert (tmp_path / "a.flk").read_bytes() == b"new"


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interruption_leaves_no_trace(tmp_path, interruption):
    with pytest.raises(interruption):
        write_half(tmp_path / "a.flk", interruption)
    assert names(tmp_path) == []


def test_an_interruption_keeps_the_old_file(tmp_path):
    (tmp_path / "a.flk").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "a.flk", KeyboardInterrupt)
    assert names(tmp_path) == ["a.flk"]
    assert (tmp_path / "a.flk").read_bytes() == b"old"


def test_trouble_while_writing_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match=r"a\.flk: No space left"):
        write_half(tmp_path / "a.flk", OSError(28, "No space left on device"))
    assert names(tmp_path) == []


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mask, mode):
    umask(mask)
    write_bytes(tmp_path / "a.flk", b"")
    assert stat.S_IMODE((tmp_path / "a.flk").stat().st_mode) == mode


def test_the_umask_itself_is_left_alone(tmp_path, umask):
    umask(0o027)
    write_bytes(tmp_path / "a.flk", b"")
    assert umask(0o022) == 0o027


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_link_to_nothing_yet_makes_what_it_points_to(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_the_longest_name_that_fits_can_be_written(tmp_path):
    write_bytes(tmp_path / ("n" * 255), b"new")
    assert names(tmp_path) == ["n" * 255]


def test_names_need_not_be_ascii(tmp_path):
    write_bytes(tmp_path / "größe 大.flk", b"new")
    assert names(tmp_path) == ["größe 大.flk"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is a directory"),
        ("missing/a.flk", "No such file"),
        ("file/a.flk", "Not a directory"),
        ("n" * 300, "name too long"),
        ("a\0b", "null"),
        ("loop", "loop|link"),
    ],
)
def test_what_cannot_be_written_is_an_output_error(tmp_path, path, reason):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=f"cannot write .*(?i:{reason})"):
        write_bytes(tmp_path / path, b"data")
    assert names(tmp_path) == ["file", "loop"]


def test_a_device_is_written_to_and_stays_a_device():
    write_bytes("/dev/null", b"data")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_full_device_is_an_output_error():
    with pytest.raises(OutputError, match="cannot write /dev/full: No space left"):
        write_bytes("/dev/full", b"data")


def test_a_named_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_bytes(tmp_path / "pipe", b"data")
    reader.join()
    assert received == [b"data"]
    assert (tmp_path / "pipe").is_fifo()


def test_standard_output_that_is_a_pipe_is_written_to(tmp_path):
    code = "from farlook.runtime.files import write_bytes; write_bytes('/dev/stdout', b'data')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=tmp_path)
    assert run.stdout == b"data"


def test_reading_gives_the_whole_file(tmp_path):
    data = MAGIC + b"stream"
    (tmp_path / "a.flk").write_bytes(data)
    assert read_stream_file(tmp_path / "a.flk") == read_stream_file(str(tmp_path / "a.flk"), limit=10) == data


@pytest.mark.parametrize("data", [b"", b"\x8f", b"text, and more of it", MAGIC[:3] + b"X" + bytes(100)])
def test_what_is_no_stream_is_not_read_on(tmp_path, data):
    (tmp_path / "a.flk").write_bytes(data)
    assert read_stream_file(tmp_path / "a.flk") == data[:4]


def test_an_endless_device_is_not_read_on():
    assert read_stream_file("/dev/zero") == bytes(4)


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "a.flk").write_bytes(b"old")
    monkeypatch.setattr("os.access", lambda *_: False)  # the superuser may write to any file
    with pytest.raises(OutputError, match="read-only"):
        write_bytes(tmp_path / "a.flk", b"new")


def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "a.flk").write_bytes(b"old")
    (tmp_path / "a.flk").chmod(0o600)
    write_bytes(tmp_path / "a.flk", b"new")
    assert (tmp_path / "a.flk").stat().st_mode & 0o777 == 0o600


def test_reading_more_than_the_limit_is_refused(tmp_path):
    (tmp_path / "a.flk").write_bytes(MAGIC + b"stream")
    with pytest.raises(StreamError, match="more than 5 bytes"):
        read_stream_file(tmp_path / "a.flk", limit=5)


def test_a_file_too_large_for_a_stream_is_refused_unread(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.write(MAGIC)
        file.truncate(1 << 40)
    with pytest.raises(StreamError, match="no stream is that large"):
        read_stream_file(tmp_path / "sparse")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is a directory"),
        ("missing", "No such file"),
        ("file/a.flk", "Not a directory"),
        ("n" * 300, "name too long"),
        ("a\0b", "null"),
        ("loop", "levels of symbolic links"),
    ],
)
def test_what_cannot_be_read_is_a_stream_error(tmp_path, path, reason):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(StreamError, match=f"(?i:{reason})"):
        read_stream_file(tmp_path / path)


def test_packets_become_files_in_their_order(tmp_path):
    write_packets(tmp_path / "new", [b"one", b"two"])
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        "000000.packet": b"one",
        "000001.packet": b"two",
    }
    assert read_pieces(tmp_path / "new") == [b"one", b"two"]
    with pytest.raises(OutputError, match="new is not empty"):
        write_packets(tmp_path / "new", [b"three"])
    with pytest.raises(OutputError, match="No such file"):
        write_packets(tmp_path / "missing" / "folder", [b"three"])


def test_pieces_are_a_file_or_all_files_of_a_folder(tmp_path):
    (tmp_path / "b").write_bytes(b"second")
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / ".hidden").write_bytes(b"not mine")
    (tmp_path / "folder").mkdir()
    assert read_pieces(tmp_path) == [b"first", b"second"]
    assert read_pieces(tmp_path / "b") == [b"second"]
    for nothing in (tmp_path / "folder", tmp_path / "missing", "a\0b"):
        with pytest.raises(StreamError):
            read_pieces(nothing)


def test_pieces_have_a_limit_in_all(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(bytes(40))
    assert len(read_pieces(tmp_path, limit=120)) == 3
    with pytest.raises(StreamError, match="more than 119 bytes"):
        read_pieces(tmp_path, limit=119)


def test_a_destination_is_refused_before_the_work(tmp_path, monkeypatch):
    check_destination(tmp_path / "new")
    check_destination("/dev/null")
    for path, text in ((tmp_path / "none" / "x", "no directory"), (tmp_path, "is a directory")):
        with pytest.raises(OutputError, match=text):
            check_destination(path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(OutputError, match="read-only"):
        check_destination(tmp_path / "new")
    assert names(tmp_path) == []
