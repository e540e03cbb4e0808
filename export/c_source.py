"""Writes block8's encoder as C99 for a flight computer: the C core's own files, joined, and the trained tables."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farlook import __version__, kernels
from farlook.export.amalgamate import amalgamate
from farlook.export.c_tables import CTables, c_tables
from farlook.kernels.block8 import MAX_MTU, MAX_SIDE, MIN_MTU, STEPS, Geometry, encoder_bytes
from farlook.kernels.block8_tables import Tables
from farlook.runtime.block8.job import COARSEST_QUALITY_STEP, FEW_UNITS, FINEST_QUALITY_STEP
from farlook.runtime.block8.stream import DIGEST_BYTES, PREAMBLE
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = "farlook_block8.h"
CODER = "farlook_block8.c"
TABLES = "farlook_block8_tables.c"

_TEMPLATES = Path(__file__).parent / "flight"
_NATIVE = Path(kernels.__file__).parent / "native"
_COLUMN = 64  # pixels by which the core's working memory grows
_FRONT_BYTES = 128  # of the interface's own state
_MARK = "Written by `farlook export block8 --format c`"
_NOTICE = f"/* {_MARK}, farlook {__version__}. SPDX-License-Identifier: Apache-2.0 */"


@dataclass(frozen=True)
class CSource:
    """What was written.

    Attributes:
        folder: Where.
        encoder_bytes: Working memory of the encoder as exported; on 32-bit processors all of it is not needed.
        table_bytes: Trained tables, read-only.
    """

    folder: Path
    encoder_bytes: int
    table_bytes: int


@dataclass(frozen=True)
class _Memory:
    """Working memory: the core's, without packets, is at most `core` and `column` for every 64 pixels of width."""

    core: int
    column: int

    @classmethod
    def measure(cls, bands: int) -> _Memory:
        """Ask the core."""
        counts = range(1, MAX_SIDE // _COLUMN + 1)
        sizes = [
            encoder_bytes(Geometry(_COLUMN * count, 1, bands, 16), MIN_MTU) - 2 * MIN_MTU for count in counts
        ]
        column = -((sizes[0] - sizes[-1]) // (len(sizes) - 1))
        core = max(size - column * count for count, size in zip(counts, sizes, strict=True))
        return cls(_round_up(core, _COLUMN), column)

    def encoder_bytes(self, width: int, mtu: int) -> int:
        """FARLOOK_ENCODER_BYTES."""
        return _FRONT_BYTES + self.core + self.column * -(-width // _COLUMN) + 3 * _round_up(mtu, _COLUMN)


def export_c(
    out_dir: str | os.PathLike[str],
    bundle: str | os.PathLike[str] | None = None,
    *,
    max_width: int = 4096,
    max_mtu: int = 1024,
    bands: int = 3,
) -> CSource:
    """Write the encoder's header, its two source files, an example, a Makefile and a README.

    Args:
        out_dir: A directory that does not exist, is empty, or holds an earlier export, whose files are replaced.
        bundle: block8's; None: as shipped.
        max_width: Of the pictures; working memory grows with it.
        max_mtu: Most bytes of a packet that settings may ask for.
        bands: 3: grey and RGB; 1: only grey, with less memory and smaller tables.

    Raises:
        UsageError: A size is out of range.
        BundleError: The bundle is missing or damaged, or not one of block8.
        OutputError: The directory holds other files, or cannot be written.
    """
    _check_sizes(max_width, max_mtu, bands)
    opened = find_bundle("block8" if bundle is None else os.fspath(bundle))
    tables = Tables.unpack(opened.tables())
    arrays = c_tables(tables, chroma=bands > 1)
    memory = _Memory.measure(bands)
    fields = _fields(max_width, max_mtu, bands) | {
        "CORE_BYTES": str(memory.core),
        "COLUMN_BYTES": str(memory.column),
        "TABLES": arrays.declarations,
        "TABLE_BYTES": f"{arrays.size:,}",
        "ENCODER_BYTES": f"{memory.encoder_bytes(max_width, max_mtu):,}",
        "MEMORY_ROWS": _memory_rows(),
    }
    files = {
        path.name: _fill(path.read_text(encoding="utf-8"), fields) for path in sorted(_TEMPLATES.iterdir())
    }
    files[CODER] = amalgamate(
        files[CODER],
        [_NATIVE, _NATIVE / "block8"],
        given={"tables.h": structures(tables, arrays, opened.digest)},
        defined="B8_ENCODER_ONLY",
    )
    files[TABLES] = f'{_NOTICE}\n#include "{HEADER}"\n\n{arrays.definitions}\n'
    folder = Path(out_dir)
    _write(folder, files)
    return CSource(folder, memory.encoder_bytes(max_width, max_mtu), arrays.size)


def structures(tables: Tables, arrays: CTables, digest: bytes) -> str:
    """C for what an encoder needs besides the arrays."""
    numbers = ", ".join(f"0x{byte:02x}u" for byte in digest[:DIGEST_BYTES])
    return "\n\n".join(
        [
            "/* ---- Trained tables: their arrays are in farlook_block8_tables.c ---- */",
            f"#define FARLOOK_CHROMA_FINER {tables.chroma_finer}u",
            f"static const uint8_t farlook_digest[{DIGEST_BYTES}] = {{{numbers}}};",
            arrays.structures,
        ]
    )


def _check_sizes(max_width: int, max_mtu: int, bands: int) -> None:
    if not 1 <= max_width <= MAX_SIDE:
        raise UsageError(f"the width is {max_width}; it can be 1 to {MAX_SIDE}")
    if not MIN_MTU <= max_mtu <= MAX_MTU:
        raise UsageError(f"the mtu is {max_mtu}; it can be {MIN_MTU} to {MAX_MTU}")
    if bands not in (1, 3):
        raise UsageError(f"there are {bands} bands; a picture has 1 (grey) or 3 (RGB)")


def _fields(max_width: int, max_mtu: int, bands: int) -> dict[str, str]:
    """What the templates' fields, as in @VERSION@, stand for."""
    return {
        "VERSION": __version__,
        "MAX_WIDTH": str(max_width),
        "MAX_MTU": str(max_mtu),
        "BANDS": str(bands),
        "KINDS": "1: grey; 3: RGB, too. The tables are for these",
        "STEPS": str(STEPS),
        "FINEST": str(FINEST_QUALITY_STEP),
        "COARSEST": str(COARSEST_QUALITY_STEP),
        "FRONT_BYTES": str(_FRONT_BYTES),
        "FEW_UNITS": str(FEW_UNITS),
        "PREAMBLE": ", ".join(f"0x{byte:02x}u" for byte in PREAMBLE),
    }


def _memory_rows() -> str:
    """Rows of the README's table of working memory."""
    grey, rgb = _Memory.measure(1), _Memory.measure(3)
    return "\n".join(
        f"| {width} | {grey.encoder_bytes(width, 1024):,} | {rgb.encoder_bytes(width, 1024):,} |"
        for width in (256, 1024, 4096, MAX_SIDE)
    )


def _fill(text: str, fields: dict[str, str]) -> str:
    for name, value in fields.items():
        text = text.replace(f"@{name}@", value)
    return text


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write the files into a directory beside, then put that, or its files, where they belong."""
    try:
        folder = folder.resolve()
        existing = _is_export(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _directory_beside(folder) as part:
            for name, text in files.items():
                (part / name).write_text(text, encoding="utf-8")
            if existing:
                for name in files:
                    (part / name).replace(folder / name)
            else:
                part.replace(folder)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {folder}: {reason}") from error


def _is_export(folder: Path) -> bool:
    """Whether an earlier export is there.

    Raises:
        OutputError: Something else is.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise OutputError(f"cannot write {folder}: it is a file; name a directory")
    if not any(folder.iterdir()):
        return False
    header = folder / HEADER
    if header.is_file() and _MARK in header.read_text(encoding="utf-8", errors="replace"):
        return True
    raise OutputError(f"cannot write {folder}: it holds other files; name a directory that is new or empty")


@contextmanager
def _directory_beside(folder: Path) -> Iterator[Path]:
    """A new directory that is gone at the end, unless it was renamed."""
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:64]}."))
    try:
        part.chmod(0o777 & ~_umask())
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
