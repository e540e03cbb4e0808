"""Does ONNX Runtime work here?"""

from __future__ import annotations

from base64 import b64decode
from functools import lru_cache

import numpy as np

from farlook.runtime.backends.base import Probe
from farlook.runtime.errors import BackendError

_REMEDY = "pip install 'farlook[cpu]'"

# y = x + x, float32 [n], opset 17, IR 8: 72 bytes, so that a look needs no file and no onnx.
_DOUBLE = b64decode(
    "CAgSADo8Cg4KAXgKAXgSAXkiA0FkZBIGZG91YmxlWhAKAXgSCwoJCAESBQoDEgFuYhAKAXkSCwoJCAESBQoDEgFuQgQKABAR"
)


@lru_cache
def probe() -> Probe:
    """Run a tiny graph and compare its result."""
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        return Probe("ort", works=False, detail=f"onnxruntime cannot be imported: {error}", remedy=_REMEDY)
    from farlook.runtime.backends.ort.load import load  # noqa: PLC0415  # needs onnxruntime

    version = f"onnxruntime {onnxruntime.__version__} on the CPU"
    x = np.arange(3, dtype=np.float32)
    try:
        y = load(_DOUBLE, "probe", 1).run({"x": x})["y"]
    except BackendError as error:
        return Probe("ort", works=False, detail=f"{version}: {error}", remedy=_REMEDY)
    if not np.array_equal(y, x + x):
        return Probe("ort", works=False, detail=f"{version}: computed {x.tolist()} + itself as {y.tolist()}")
    return Probe("ort", works=True, detail=version)
