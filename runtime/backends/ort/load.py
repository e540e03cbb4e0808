"""Graphs to ONNX Runtime sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.backends.ort.session import OrtCudaSession, OrtSession
from farlook.runtime.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farlook.runtime.backends.base import GraphSource

_ERRORS_ONLY = 3
_CPU = "CPUExecutionProvider"
PROVIDERS = {
    "ort": (_CPU,),
    "ort-cuda": ("CUDAExecutionProvider", _CPU),
    "ort-trt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", _CPU),
}
"""For each backend of this package its providers, best first; the CPU takes the nodes that no other can."""

EXTRAS = {"ort": "cpu", "ort-cuda": "gpu", "ort-trt": "gpu"}


def open_graphs(
    sources: Sequence[GraphSource], threads: int, backend: str = "ort"
) -> tuple[tuple[OrtSession, ...], str]:
    """Load graphs, after a small one ran with the right result.

    Args:
        sources: The graphs.
        threads: Threads of one run; 0 takes all cores.
        backend: "ort", "ort-cuda" or "ort-trt".

    Returns:
        The sessions, and what runs them.

    Raises:
        MissingExtraError, BackendError: See `load`; or the small one failed.
        BundleError: The bundle has no such graph, or it is damaged.
    """
    from farlook.runtime.backends.ort.probe import probe  # noqa: PLC0415  # which loads a graph

    found = probe(backend)
    if not found.works:
        raise BackendError(f"{backend} cannot run here: {found.reason}")
    sessions = tuple(load(source.read(), source.name, threads, backend) for source in sources)
    return sessions, found.detail


def load(graph: bytes, label: str, threads: int = 0, backend: str = "ort") -> OrtSession:
    """Load an ONNX graph.

    Args:
        graph: A serialized ONNX model.
        label: What to call it in errors, as in "analysis".
        threads: Threads of one run; 0 takes all cores.
        backend: "ort", "ort-cuda" or "ort-trt".

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BackendError: The graph is damaged or uses what onnxruntime does not have, or onnxruntime would run it
            on the CPU where a GPU was asked for.
    """
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        raise MissingExtraError("onnxruntime", EXTRAS[backend], "to run networks") from error
    providers = PROVIDERS[backend]
    missing = {*providers} - {*onnxruntime.get_available_providers()}
    if missing:
        raise BackendError(
            f"onnxruntime {onnxruntime.__version__} was built without {', '.join(sorted(missing))}: "
            "replace it by onnxruntime-gpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=list(providers))
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise BackendError(f"onnxruntime cannot load the {label} graph: {error}") from error
    # A provider that cannot start is dropped without an error, and the CPU takes its place.
    if providers[0] not in session.get_providers():
        raise BackendError(
            f"onnxruntime cannot run the {label} graph by {providers[0]}, only by "
            f"{', '.join(session.get_providers())}: see `farlook doctor` for the driver and CUDA it needs"
        )
    return OrtSession(session, label) if backend == "ort" else OrtCudaSession(session, label)
