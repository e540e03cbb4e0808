"""Runs a graph in onnxruntime on the CPU, to compare it with torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

import farlook.runtime.backends.ort  # noqa: F401  # settles onnxruntime's settings before it is imported
from farlook.runtime.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto

_ERRORS_ONLY = 3


class ReferenceSession:
    """A graph loaded into onnxruntime.

    Raises:
        ExportError: onnxruntime refuses the graph.
    """

    def __init__(self, model: ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise ExportError(f"{model.graph.name}: onnxruntime cannot load the graph: {error}") from error

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the values of `outputs`.

        Raises:
            ExportError: The graph does not run on arrays of these shapes.
        """
        try:
            values = self._session.run(list(outputs), dict(inputs))
        except Exception as error:  # as above
            shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
            raise ExportError(f"the graph does not run in onnxruntime on {shapes}: {error}") from error
        return dict(zip(outputs, values, strict=True))
