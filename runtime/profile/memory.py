"""Memory of this process, its peak over a stretch of time, and memory taken on a GPU."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path

_CLEAR_REFS, _RESET_PEAK = Path("/proc/self/clear_refs"), "5"
_STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """Bytes of this process in memory now; None where the system does not tell."""
    return _status("VmRSS")


def peak_bytes() -> int | None:
    """Most bytes of this process in memory since `reset_peak`, or since it began where that is not possible."""
    peak = _status("VmHWM")
    if peak is not None:
        return peak
    try:
        import resource  # noqa: PLC0415  # not on Windows
    except ImportError:
        return None
    scale = 1 if sys.platform == "darwin" else 1024
    return scale * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def reset_peak() -> bool:
    """Let the peak begin anew; whether the system could (Linux, proc(5): clear_refs)."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def cuda_bytes() -> int | None:
    """Bytes taken on the current CUDA device, by all processes; None without cuda-bindings or a device.

    Ask only where a context exists: the first question makes one, which takes memory itself.
    """
    try:
        runtime = import_module("cuda.bindings.runtime")
    except ImportError:
        return None
    try:
        status, free, total = runtime.cudaMemGetInfo()
    except Exception:  # noqa: BLE001  # without a driver the binding itself raises, of no documented type
        return None
    return int(total) - int(free) if int(status) == 0 else None


def own_pid() -> int:
    """The number by which a driver lists this process; inside a container it may list another."""
    return os.getpid()


def _status(field: str) -> int | None:
    try:
        text = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    match = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    return None if match is None else 1024 * int(match[1])
