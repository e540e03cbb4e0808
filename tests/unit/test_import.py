"""What is imported when: `import farlook` is cheap, and the runtime never needs torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "PIL", "torch", "onnx", "onnxruntime", "typer", "rich", "scipy")
BLOCK_TRAINING = """
import sys
for name in ("torch", "onnx", "scipy", "typer", "rich", "safetensors"):
    sys.modules[name] = None
"""


@pytest.fixture
def python(tmp_path):
    """Runs code in a fresh interpreter and returns what it prints."""

    def run(code):
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, capture_output=True, check=True, text=True, cwd=tmp_path
        ).stdout.strip()

    return run


def test_importing_farlook_imports_nothing_heavy(python):
    code = f"import sys, farlook; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == "[]"


def test_coding_pictures_imports_no_training_packages(python):
    code = """
import sys, farlook, numpy
farlook.decode(farlook.encode(numpy.full((9, 9, 3), 90, numpy.uint8)))
print([name for name in ("torch", "onnx", "scipy", "typer", "rich", "farlook.models") if name in sys.modules])
"""
    assert python(code) == "[]"


def test_coding_pictures_works_without_training_packages(python):
    code = f"""
{BLOCK_TRAINING}
import farlook, numpy
print(farlook.decode(farlook.encode(numpy.full((9, 9, 3), 90, numpy.uint8))).shape)
"""
    assert python(code) == "(9, 9, 3)"


def test_describing_a_stream_needs_no_backend(python):
    code = """
import sys
sys.modules["onnxruntime"] = None
import farlook
from farlook.runtime.stream import Header, write_stream
print(farlook.info(write_stream(Header("block8-paper", bytes(4), 1, 1, 1, 8, 50, 8), [b""])).width)
"""
    assert python(code) == "1"


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_without_a_backend_the_error_says_what_to_install(python, verb):
    code = f"""
import sys
sys.modules["onnxruntime"] = None
import farlook, numpy
from farlook.runtime.stream import Header, write_stream
stream = write_stream(Header("block8-paper", bytes(4), 1, 1, 1, 8, 50, 8), [b""])
image = numpy.zeros((8, 8), numpy.uint8)
try:
    farlook.encode(image, "block8-paper") if {verb!r} == "encode" else farlook.decode(stream)
except farlook.FarlookError as error:
    print(type(error).__name__, error)
"""
    assert "pip install 'farlook[cpu]'" in python(code)
