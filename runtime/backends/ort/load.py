"""Graphs to ONNX Runtime sessions."""

from __future__ import annotations

from farlook.runtime.backends.ort.session import OrtSession
from farlook.runtime.errors import BackendError, MissingExtraError

_ERRORS_ONLY = 3


def load(graph: bytes, label: str, threads: int = 0) -> OrtSession:
    """Load an ONNX graph.

    Args:
        graph: A serialized ONNX model.
        label: What to call it in errors, as in "analysis".
        threads: Threads of one run; 0 takes all cores.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BackendError: The graph is damaged or uses what onnxruntime does not have.
    """
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu", "to run networks on the CPU") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base but Exception
        raise BackendError(f"onnxruntime cannot load the {label} graph: {error}") from error
    return OrtSession(session, label)
