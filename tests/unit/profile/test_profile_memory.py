"""Memory of this process, and its peak."""

import subprocess
import sys

import pytest

from farlook.runtime.profile import memory

_PEAKS = """
import numpy as np
from farlook.runtime.profile import memory
size = 64 << 20
block = np.ones(size, np.uint8)
assert memory.peak_bytes() >= size
del block
if memory.reset_peak():
    low = memory.peak_bytes()
    block = np.ones(size, np.uint8)
    assert memory.peak_bytes() >= low + size // 2
    assert memory.resident_bytes() <= memory.peak_bytes()
    print("reset")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak can be reset on Linux only")
def test_a_peak_is_of_the_time_since_the_reset():
    """In a process of its own: one that has lived gives memory back while it is measured."""
    result = subprocess.run([sys.executable, "-c", _PEAKS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    if not result.stdout:
        pytest.skip("this kernel does not reset the peak")


def test_without_proc_the_process_peak_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert memory.resident_bytes() is None
    assert memory.peak_bytes() > 1 << 20


def test_a_reset_that_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "none" / "clear_refs")
    assert memory.reset_peak() is False


def test_without_cuda_bindings_nothing_is_told(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(memory, "import_module", missing)
    assert memory.cuda_bytes() is None
