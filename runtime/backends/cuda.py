"""CUDA's runtime by cuda-bindings, as far as sessions need it: errors as exceptions, memory that frees itself."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIGNMENT = 256
"""TensorRT wants addresses that are multiples of it; cudaMalloc gives such."""


class Cuda:
    """The runtime.

    Args:
        runtime: The module `cuda.bindings.runtime`.
    """

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime
        self._fine = runtime.cudaError_t.cudaSuccess

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of CUDA's runtime and return what it gives besides its status.

        Raises:
            BackendError: It failed; the text names the function and CUDA's error.
        """
        status, *results = getattr(self.runtime, name)(*arguments)
        if status != self._fine:
            hint = (
                ": give the graph smaller windows, or free the GPU's memory" if "Alloc" in status.name else ""
            )
            raise BackendError(f"CUDA failed in {name}: {status.name}{hint}")
        return results[0] if len(results) == 1 else results

    def stream(self) -> int:
        """A new stream that waits for no other."""
        return int(self.call("cudaStreamCreateWithFlags", self.runtime.cudaStreamNonBlocking))

    def synchronise(self, stream: int) -> None:
        """Wait until all work of a stream is done."""
        self.call("cudaStreamSynchronize", stream)

    def wait_for(self, stream: int, other: int) -> None:
        """Let what is put on a stream from now on wait for what is on another so far."""
        event = self.call("cudaEventCreateWithFlags", self.runtime.cudaEventDisableTiming)
        try:
            self.call("cudaEventRecord", event, other)
            self.call("cudaStreamWaitEvent", stream, event, 0)
        finally:
            self.call("cudaEventDestroy", event)  # CUDA keeps it until it has happened

    def copy_in(self, device: int, host: int, size: int, stream: int) -> None:
        """Host to device, in the stream's order."""
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", device, host, size, kind, stream)

    def copy_out(self, host: int, device: int, size: int, stream: int) -> None:
        """Device to host, in the stream's order."""
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", host, device, size, kind, stream)


class DeviceMemory:
    """Memory on the GPU, freed with this object."""

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda = cuda
        self.size = size
        self.address = int(cuda.call("cudaMalloc", max(size, 1)))

    def __del__(self) -> None:
        address = getattr(self, "address", 0)
        if address:
            self._cuda.runtime.cudaFree(address)  # waits for what still uses it


class PinnedMemory:
    """Memory on the host that the GPU copies from and to by itself; freed with this object."""

    def __init__(self, cuda: Cuda, size: int) -> None:
        self._cuda = cuda
        self.size = size
        self.address = int(cuda.call("cudaHostAlloc", max(size, 1), cuda.runtime.cudaHostAllocDefault))

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Its first bytes as an array."""
        count = int(np.prod(shape, dtype=np.int64))
        held = (ctypes.c_char * (count * dtype.itemsize)).from_address(self.address)
        flat: NDArray[Any] = np.frombuffer(memoryview(held), dtype=dtype, count=count)
        return flat.reshape(shape)

    def __del__(self) -> None:
        address = getattr(self, "address", 0)
        if address:
            self._cuda.runtime.cudaFreeHost(address)


@lru_cache
def open_cuda(extra: str = "cuda") -> Cuda:
    """CUDA's runtime.

    Args:
        extra: The extra of farlook that brings cuda-bindings.

    Raises:
        MissingExtraError: cuda-bindings is not installed.
    """
    try:
        runtime = import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise MissingExtraError("cuda-bindings", extra, "to run on the GPU") from error
    return Cuda(runtime)
