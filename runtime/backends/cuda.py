"""CUDA's runtime by cuda-bindings, as far as sessions need it: errors as exceptions, memory that frees itself."""

from __future__ import annotations

import ctypes
from collections import deque
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

GPU = 0
"""Number of the GPU that engines and sessions use: the one that `farlook.runtime.machine` describes."""

LEGACY_STREAM = 1
"""CUDA's name of the default stream that waits for all blocking streams."""

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

    @contextmanager
    def on_gpu(self) -> Iterator[None]:
        """Make `GPU` the thread's current one for a while: others in the process may have chosen another."""
        before = int(self.call("cudaGetDevice"))
        if before == GPU:
            yield
            return
        self.call("cudaSetDevice", GPU)
        try:
            yield
        finally:
            self.call("cudaSetDevice", before)

    def place_of(self, address: int) -> int | None:
        """The number of the GPU where an address lies; None if it is none of a GPU's."""
        found = self.call("cudaPointerGetAttributes", address)
        kinds = self.runtime.cudaMemoryType
        if found.type == kinds.cudaMemoryTypeManaged:
            return GPU  # every GPU has it
        return int(found.device) if found.type == kinds.cudaMemoryTypeDevice else None

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


class Held:
    """Keeps objects until a stream has done what was put on it so far.

    Args:
        cuda: The runtime.
        stream: The stream.
    """

    def __init__(self, cuda: Cuda, stream: int) -> None:
        self._cuda, self._stream = cuda, stream
        self._events: deque[tuple[Any, tuple[Any, ...]]] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def keep(self, *objects: Any) -> None:
        """Keep these until what is on the stream now is done."""
        event = self._cuda.call("cudaEventCreateWithFlags", self._cuda.runtime.cudaEventDisableTiming)
        try:
            self._cuda.call("cudaEventRecord", event, self._stream)
        except BackendError:
            self._cuda.call("cudaEventDestroy", event)
            raise
        self._events.append((event, objects))

    def let_go(self) -> None:
        """Give up what the stream is done with; does not wait."""
        runtime = self._cuda.runtime
        while (
            self._events and runtime.cudaEventQuery(self._events[0][0])[0] == runtime.cudaError_t.cudaSuccess
        ):
            self._drop()

    def clear(self) -> None:
        """Give up everything; the stream must have been waited for."""
        while self._events:
            self._drop()

    def _drop(self) -> None:
        event, _ = self._events.popleft()
        self._cuda.call("cudaEventDestroy", event)


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
