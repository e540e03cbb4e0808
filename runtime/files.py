"""Files that are either whole or absent: write beside, then rename."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from farlook.runtime.errors import OutputError, StreamError
from farlook.runtime.stream import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_STREAM_BYTES = 1 << 31
"""More than any stream takes: 16384 x 16384 RGB pixels without compression are 768 MiB."""


PACKET_SUFFIX = ".packet"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` only when the block ends without an error.

    The bytes go to a hidden file in the same folder, are flushed to the disk and renamed over `path` (over
    what it points to, if it is a link). On any exception, Ctrl-C included, the hidden file is removed and
    whatever stood at `path` stays. Pipes and devices are written to directly.

    Raises:
        OutputError: The folder does not exist, is not writable, or the disk is full.
    """
    target, special = _destination(Path(path))
    try:
        if special:
            with Path(path).open("wb") as file:
                yield file
            return
        part = target.with_name(f".{target.name[:64]}.{secrets.token_hex(4)}.part")
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                part.chmod(target.stat().st_mode & 0o777)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(target, error) from error


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, whole or not at all.

    Raises:
        OutputError: See `atomic_write`.
    """
    with atomic_write(path) as file:
        file.write(data)


def check_destination(path: str | os.PathLike[str]) -> None:
    """Refuse a path that cannot be written, before the work whose result goes there.

    Raises:
        OutputError: See `atomic_write`; a full disk shows later.
    """
    target, special = _destination(Path(path))
    if special:
        return
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: there is no directory {target.parent}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {target}: the directory {target.parent} is read-only")


def _destination(given: Path) -> tuple[Path, bool]:
    """What a path stands for, links followed, and whether that is a pipe or a device.

    A pipe must be opened by the name that was given: what /dev/stdout points to has none of its own.
    """
    try:
        target = given.resolve()
        if target.is_dir():
            raise OutputError(f"cannot write {target}: it is a directory; name a file in it")
        if target.is_file() and not os.access(target, os.W_OK):
            raise OutputError(f"cannot write {target}: it is read-only")
        if target.is_symlink():  # Python 3.13 and up follow a loop of links no further
            raise OutputError(f"cannot write {target}: its links form a loop")
        return target, given.exists() and not given.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL byte, a loop of links
        raise _unwritable(given, error) from error


def _unwritable(target: Path, error: Exception) -> OutputError:
    return OutputError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}")


def read_stream_file(path: str | os.PathLike[str], limit: int = MAX_STREAM_BYTES) -> bytes:
    """Read a stream's file; of a file that is none, only the first bytes, which tell.

    Raises:
        StreamError: It is missing, a directory, unreadable, or larger than `limit` bytes.
    """
    source = Path(path)
    try:
        if source.is_dir():
            raise StreamError(f"{source} is a directory, not a file")
        with source.open("rb") as file:
            head = file.read(len(MAGIC))
            if head != MAGIC:
                return head
            # A pipe or a device does not tell its size: hence the bound on what is read, too.
            size = os.fstat(file.fileno()).st_size
            data = head + file.read(limit + 1 - len(head)) if size <= limit else b""
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise StreamError(f"cannot read {source}: {getattr(error, 'strerror', None) or error}") from error
    if not data or len(data) > limit:
        raise StreamError(f"{source} has more than {limit} bytes: no stream is that large")
    return data


def read_pieces(path: str | os.PathLike[str], limit: int = MAX_STREAM_BYTES) -> list[bytes]:
    """Read what is left of a stream: one file, or all files of a directory, hidden ones left out.

    Raises:
        StreamError: There is nothing, it is unreadable, or larger than `limit` bytes in all.
    """
    source = Path(path)
    try:
        paths = [source]
        if source.is_dir():
            paths = sorted(file for file in source.iterdir() if file.is_file() and file.name[0] != ".")
        pieces, left = [], limit
        for file in paths:
            with file.open("rb") as opened:
                pieces.append(opened.read(left + 1))
            left -= len(pieces[-1])
            if left < 0:
                raise StreamError(f"{source} has more than {limit} bytes: no stream is that large")
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise StreamError(f"cannot read {source}: {getattr(error, 'strerror', None) or error}") from error
    if not any(pieces):
        raise StreamError(f"there is nothing in {source}")
    return pieces


def write_packets(folder: str | os.PathLike[str], packets: Sequence[bytes]) -> None:
    """Write every packet to a file of its own, 000000.packet and so on.

    Args:
        folder: A directory that is new or empty, so that no older packets mix with these.
        packets: In the stream's order.

    Raises:
        OutputError: The directory holds files, or a file cannot be written.
    """
    path = Path(folder)
    try:
        path.mkdir(exist_ok=True)
        if any(path.iterdir()):
            raise OutputError(f"{path} is not empty: packets of two streams would mix")
    except OSError as error:
        raise _unwritable(path, error) from error
    for number, packet in enumerate(packets):
        write_bytes(path / f"{number:06d}{PACKET_SUFFIX}", packet)
