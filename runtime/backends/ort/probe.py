"""Does ONNX Runtime work here?"""

from __future__ import annotations

from base64 import b64decode
from functools import lru_cache

import numpy as np

from farlook.runtime.backends.base import Probe
from farlook.runtime.backends.ort.load import EXTRAS, PROVIDERS, load
from farlook.runtime.errors import BackendError
from farlook.runtime.machine import this_machine

_PLACES = {"ort": "on the CPU", "ort-cuda": "on the GPU by CUDA", "ort-trt": "on the GPU by TensorRT"}

# y = x + x, float32 [n], opset 17, IR 8: 72 bytes, so that a look needs no file and no onnx.
_DOUBLE = b64decode(
    "CAgSADo8Cg4KAXgKAXgSAXkiA0FkZBIGZG91YmxlWhAKAXgSCwoJCAESBQoDEgFuYhAKAXkSCwoJCAESBQoDEgFuQgQKABAR"
)


@lru_cache
def probe(backend: str = "ort") -> Probe:
    """Run a tiny graph and compare its result.

    Args:
        backend: "ort", "ort-cuda" or "ort-trt".
    """
    remedy = f"pip install 'farlook[{EXTRAS[backend]}]'"
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        return Probe(backend, works=False, detail=f"onnxruntime cannot be imported: {error}", remedy=remedy)
    version = f"onnxruntime {onnxruntime.__version__}"
    if not {*PROVIDERS[backend]} <= {*onnxruntime.get_available_providers()}:
        # Both packages install the module onnxruntime: one has to go before the other comes.
        detail, swap = (
            f"{version} has no {PROVIDERS[backend][0]}",
            f"pip uninstall -y onnxruntime && {remedy}",
        )
        if this_machine().jetson is not None:
            detail += "; PyPI has none for Jetsons: build engines for TensorRT instead"
            swap = "farlook build CODEC"
        return Probe(backend, works=False, detail=detail, remedy=swap)
    x = np.arange(3, dtype=np.float32)
    try:
        y = load(_DOUBLE, "probe", 1, backend).run({"x": x})["y"]
    except BackendError as error:
        return Probe(backend, works=False, detail=f"{version}: {error}", remedy=remedy)
    if not np.array_equal(y, x + x):
        return Probe(
            backend, works=False, detail=f"{version}: computed {x.tolist()} + itself as {y.tolist()}"
        )
    return Probe(backend, works=True, detail=f"{version} {_PLACES[backend]}")
