"""One graph, loaded in ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.cuda import GPU, open_cuda
from farlook.runtime.backends.device import DeviceArray, device_array
from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


class OrtCudaSession(OrtSession):
    """A graph in ONNX Runtime on an NVIDIA GPU, which takes arrays that lie there too."""

    def run_device(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the graph once on arrays that lie on the GPU; see `DeviceSession.run_device`. It waits for the end."""
        cuda = open_cuda()
        with cuda.on_gpu():
            stream = cuda.stream()
            try:
                given = {name: device_array(value, name, stream, cuda) for name, value in inputs.items()}
                cuda.synchronise(
                    stream
                )  # onnxruntime runs on a stream of its own, which cannot be told to wait
            finally:
                cuda.call("cudaStreamDestroy", stream)
        binding = self._session.io_binding()
        try:
            for name, array in given.items():
                binding.bind_input(name, "cuda", GPU, array.dtype.type, array.shape, array.address)
            for name in self._outputs:
                binding.bind_output(name, "cuda", GPU)
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise BackendError(f"onnxruntime failed in the {self._label} graph: {error}") from error
        return {
            name: DeviceArray(
                value.data_ptr(), tuple(value.shape()), _dtype(value.element_type()), 0, value, cuda.wait_for
            )
            for name, value in zip(self._outputs, binding.get_outputs(), strict=True)
        }


def _dtype(number: int) -> np.dtype[Any]:
    """The type of numpy for ONNX's number of one.

    Raises:
        BackendError: The graph gives out what no codec does.
    """
    names = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16", 11: "float64"}
    if number not in names:
        raise BackendError(f"an output has ONNX's type {number}, which is not handed out on the GPU")
    return np.dtype(names[number])
