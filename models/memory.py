"""Memory of training: kept once it was taken.

glibc maps every large tensor anew and unmaps it when it is freed; then the kernel clears its pages again, step after
step. Where that is slow, as in virtual machines, it can take longer than the arithmetic.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Of glibc's `mallopt`, from malloc.h."""

_KEEP = 0x7FFFFFFF
_PAD = 256 << 20


def keep_freed_memory() -> bool:
    """Have malloc keep what is freed instead of giving it back; False where it is not glibc's."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(
        mallopt(name, value) for name, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEEP), (_TOP_PAD, _PAD))
    )
