"""A file of records, one JSON object a line, that only grows: what is in it survives a kill at any moment."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from farlook.runtime.errors import FarlookError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Record = dict[str, Any]


def read_journal(path: Path) -> list[Record]:
    """The records of a file; none if there is no such file. A last line that was torn is left out.

    Raises:
        FarlookError: A line that is not the last is no JSON object, or the file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise FarlookError(f"cannot read {path}: {error.strerror or error}") from error
    records = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise FarlookError(
                f"{path}, line {number}, is damaged: delete the line to measure what it held again"
            )
        records.append(record)
    return records


class Journal:
    """A file of records, open for more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def append(self, record: Record) -> None:
        """Add a record; it is on the disk when this returns."""
        self._file.write(json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open a file for more records, alone; a last line that was torn is cut off.

    Raises:
        UsageError: Another process has it open.
        OutputError: It cannot be written.
    """
    try:
        file = path.open("a+b")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another benchmark is writing to {path.parent}: wait for it") from error
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)
        file.seek(whole)
        yield Journal(file)
