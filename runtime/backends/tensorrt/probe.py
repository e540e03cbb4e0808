"""Does TensorRT, or TensorRT for RTX, work here?"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from farlook.runtime.backends.base import Probe
from farlook.runtime.backends.cuda import open_cuda
from farlook.runtime.backends.tensorrt.library import Library, open_library
from farlook.runtime.backends.tensorrt.session import EngineSession
from farlook.runtime.errors import BackendError, MissingExtraError
from farlook.runtime.machine import this_machine

_JETSON = "sudo apt-get install tensorrt python3-libnvinfer"


@lru_cache
def probe(backend: str = "tensorrt") -> Probe:
    """Build a tiny network, run it, and compare its result; takes seconds where there is a GPU.

    Args:
        backend: "tensorrt" or "rtx".
    """
    machine = this_machine()
    remedy = _JETSON if backend == "tensorrt" and machine.jetson else f"pip install 'farlook[{backend}]'"
    try:
        library = open_library(backend)
    except BackendError as error:
        # Of a missing package, what would install it is the remedy's to say.
        detail = str(error).split(";", maxsplit=1)[0] if isinstance(error, MissingExtraError) else str(error)
        return Probe(backend, works=False, detail=detail, remedy=remedy)
    version = f"{library.name} {library.version}"
    if machine.gpu is None:
        return Probe(backend, works=False, detail=f"{version}, but {machine.problem}")
    try:
        problem = _run(library)
    except MissingExtraError as error:
        return Probe(backend, works=False, detail=f"{version}: {error}", remedy="pip install cuda-bindings")
    except BackendError as error:
        problem = str(error)
    if problem:
        return Probe(backend, works=False, detail=f"{version}: {problem}")
    return Probe(backend, works=True, detail=f"{version} on {machine.gpu.name}")


def _run(library: Library) -> str:
    """Run a tiny engine; what is wrong with its result.

    Raises:
        BackendError: It cannot be built or run.
    """
    loaded = library.deserialise(_doubling(library), "probe")
    session = EngineSession(library, open_cuda(library.backend), loaded, "probe")
    x = np.arange(4, dtype=np.float32)
    y = session.run({"x": x})["y"]
    return "" if np.array_equal(y, x + x) else f"computed {x.tolist()} + itself as {y.tolist()}"


def _doubling(library: Library) -> bytes:
    """An engine of y = x + x, float32 [4].

    Raises:
        BackendError: The library cannot build one; lean runtimes cannot.
    """
    module = library.module
    builder = library.make("Builder")
    network = builder.create_network(library.network_flags())
    x = network.add_input("x", module.float32, (4,))
    total = network.add_elementwise(x, x, module.ElementWiseOperation.SUM).get_output(0)
    total.name = "y"
    network.mark_output(total)
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    if engine is None:
        raise BackendError(f"it cannot build a network: {library.problem('it gives no reason')}")
    return bytes(engine)
