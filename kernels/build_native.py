"""Builds `farlook.kernels._native`, the binding of the C99 core, with cffi in API mode.

cffi releases the GIL around every call. The declarations come from the header itself, so that they
cannot drift apart.
"""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI

_NATIVE = Path("kernels", "native")
_HEADERS = [_NATIVE / name for name in ("crc32c.h", "farlook_core.h", "ans.h", "block8/block8.h")]


def _declarations(header: str) -> str:
    """The header without comments, include guards and includes: what cffi's parser takes."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    code = re.sub(r"#define \w+\(.*", "", code)
    lines = [re.sub(r"(#define \w+) (?!\d+$).+", r"\1 ...", line.rstrip()) for line in code.splitlines()]
    return "\n".join(line for line in lines if not re.match(r"#(include|ifndef|endif|define \w+_H$)", line))


ffibuilder = FFI()
for _header in _HEADERS:
    ffibuilder.cdef(_declarations(_header.read_text(encoding="utf-8")))
ffibuilder.set_source(
    "farlook.kernels._native",
    "\n".join(f'#include "{path.relative_to(_NATIVE).as_posix()}"' for path in _HEADERS),
    sources=sorted(path.as_posix() for path in _NATIVE.glob("**/*.c")),
    include_dirs=[_NATIVE.as_posix()],
    extra_compile_args=["-std=c99", "-O3"],
    py_limited_api=True,
)
