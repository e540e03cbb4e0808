"""ONNX Runtime on a GPU takes arrays that lie there: on a session and a GPU that are not there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from farlook.runtime.backends.ort import session as sessions
from farlook.runtime.backends.ort.session import OrtCudaSession
from farlook.runtime.errors import BackendError


class Value:
    """An OrtValue on the GPU."""

    def data_ptr(self):
        return 512

    def shape(self):
        return [2, 3]

    def element_type(self):
        return 1


@pytest.fixture
def ort(monkeypatch, cuda):
    """An onnxruntime session that notes what is bound, and when it runs."""
    monkeypatch.setattr(sessions, "open_cuda", lambda: cuda)
    bound, calls = [], cuda.runtime.calls
    binding = SimpleNamespace(
        bind_input=lambda *given: bound.append(given),
        bind_output=lambda *given: bound.append(given),
        get_outputs=lambda: [Value()],
    )
    return SimpleNamespace(
        bound=bound,
        get_outputs=lambda: [SimpleNamespace(name="y")],
        io_binding=lambda: binding,
        run_with_iobinding=lambda _: calls.append("run"),
    )


class OnGpu:
    """PyTorch's way: DLPack, which orders streams, and an interface that names none."""

    def __init__(self):
        self.array, self.streams = np.zeros((2, 3), np.float32), []
        data = (self.array.ctypes.data, False)
        self.__cuda_array_interface__ = {"shape": (2, 3), "typestr": "<f4", "data": data, "version": 2}

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, stream, **options):
        capsule = self.array.__dlpack__(**options)  # older versions of numpy know of no versions of DLPack
        self.streams.append(stream)
        return capsule


def test_inputs_are_waited_for_before_it_runs(ort, gpu_memory):
    x = OnGpu()
    y = OrtCudaSession(ort, "analysis").run_device({"x": x})["y"]
    assert len(x.streams) == 1
    assert x.streams[0] > 2  # a stream of our own, not a default one
    assert gpu_memory.calls[-2:] == ["cudaStreamSynchronize", "run"]
    assert gpu_memory.streams == set()
    assert ort.bound == [("x", "cuda", 0, np.float32, (2, 3), x.array.ctypes.data), ("y", "cuda", 0)]
    assert (y.address, y.shape, y.dtype) == (512, (2, 3), np.float32)


def test_an_array_that_names_no_stream_is_waited_for_on_the_default_one(ort, gpu_memory):
    x = SimpleNamespace(__cuda_array_interface__=OnGpu().__cuda_array_interface__)
    OrtCudaSession(ort, "analysis").run_device({"x": x})
    assert [other for _, other in gpu_memory.waits] == [1]


def test_an_array_of_another_gpu_is_refused(ort, gpu_memory):
    x = SimpleNamespace(__cuda_array_interface__=OnGpu().__cuda_array_interface__)
    gpu_memory.places[x.__cuda_array_interface__["data"][0]] = 1
    with pytest.raises(BackendError, match="x lies on GPU 1, but farlook runs on GPU 0"):
        OrtCudaSession(ort, "analysis").run_device({"x": x})
    assert gpu_memory.streams == set()
