"""One graph, loaded in ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import onnxruntime
    from numpy.typing import NDArray


class OrtSession:
    """A graph in ONNX Runtime; see `farlook.runtime.backends.base.Session`."""

    def __init__(self, session: onnxruntime.InferenceSession, label: str) -> None:
        self._session = session
        self._label = label
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph once; see `Session.run`."""
        try:
            outputs = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise BackendError(f"onnxruntime failed in the {self._label} graph: {error}") from error
        return dict(zip(self._outputs, outputs, strict=True))
