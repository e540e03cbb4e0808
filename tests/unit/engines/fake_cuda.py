# ruff: noqa: N802, N815  # CUDA's names
"""A stand-in for `cuda.bindings.runtime` whose device memory is host memory: streams, events, graphs, copies."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from types import SimpleNamespace


class cudaError_t(IntEnum):  # noqa: N801  # CUDA's name
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorNotReady = 600
    cudaErrorStreamCaptureInvalidated = 901


class FakeCuda(SimpleNamespace):
    """Does at once what is put on a stream, or records it while the stream is captured.

    Attributes:
        memory: Live allocations, address to buffer; device and pinned memory alike.
        calls: Names of functions, in order.
        limit: Most bytes of one allocation.
        capturable: Whether work can be recorded.
        instantiable: Whether what was recorded can be made a graph.
        recorded: Recordings that are not destroyed yet.
        busy: Whether events have not happened yet.
        events: How many events there are.
        device: The thread's current GPU.
        contexts: How many execution contexts of engines there are; at most `most_contexts`.
        waits: Streams that were made to wait, each with the one that it waits for.
        places: GPUs of addresses that do not lie on the first; None for the host.
    """

    cudaError_t = cudaError_t
    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0
    cudaEventDisableTiming = 2
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaMemoryType = SimpleNamespace(
        cudaMemoryTypeUnregistered=0, cudaMemoryTypeHost=1, cudaMemoryTypeDevice=2, cudaMemoryTypeManaged=3
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self):
        super().__init__(memory={}, calls=[], limit=1 << 28, capturable=True, recording=None, clock=0)
        self.streams = set()
        self.graphs = {}
        self.instantiable, self.busy, self.recorded, self.events = True, False, 0, 0
        self.device, self.places = 0, {}
        self.waits = []
        self.contexts, self.most_contexts = 0, 1000

    def enqueue(self, work):
        """Put work on a stream."""
        if self.recording is None:
            work()
        else:
            self.recording.append(work)

    def _allocate(self, size):
        if size > self.limit:
            return cudaError_t.cudaErrorMemoryAllocation, 0
        buffer = (ctypes.c_char * (size + 256))()
        address = -(-ctypes.addressof(buffer) // 256) * 256
        self.memory[address] = buffer
        return cudaError_t.cudaSuccess, address

    def _free(self, address):
        del self.memory[address]
        return (cudaError_t.cudaSuccess,)

    def cudaGetDevice(self):
        return cudaError_t.cudaSuccess, self.device

    def cudaSetDevice(self, device):
        self.device = device
        return (cudaError_t.cudaSuccess,)

    def cudaPointerGetAttributes(self, address):
        place = self.places.get(address, 0)
        return cudaError_t.cudaSuccess, SimpleNamespace(type=0 if place is None else 2, device=place)

    def cudaMalloc(self, size):
        assert self.device == 0
        self.calls.append("cudaMalloc")
        return self._allocate(size)

    def cudaHostAlloc(self, size, flags):
        self.calls.append("cudaHostAlloc")
        return self._allocate(size)

    def cudaFree(self, address):
        return self._free(address)

    def cudaFreeHost(self, address):
        return self._free(address)

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        self.calls.append("cudaMemcpyAsync")
        assert stream in self.streams
        self.enqueue(lambda: ctypes.memmove(target, source, size))
        return (cudaError_t.cudaSuccess,)

    def cudaStreamCreateWithFlags(self, flags):
        stream = 1000 + len(self.calls)
        self.calls.append("cudaStreamCreateWithFlags")
        self.streams.add(stream)
        return cudaError_t.cudaSuccess, stream

    def cudaStreamDestroy(self, stream):
        self.streams.remove(stream)
        return (cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):
        assert self.recording is None
        self.calls.append("cudaStreamSynchronize")
        return (cudaError_t.cudaSuccess,)

    def cudaStreamWaitEvent(self, stream, event, flags):
        self.calls.append(f"wait {stream}")
        self.waits.append((stream, event[1]))
        return (cudaError_t.cudaSuccess,)

    def cudaEventCreate(self):
        self.events += 1
        return cudaError_t.cudaSuccess, [0, None]

    def cudaEventCreateWithFlags(self, flags):
        return self.cudaEventCreate()

    def cudaEventRecord(self, event, stream):
        self.clock += 1
        event[:] = self.clock, stream
        return (cudaError_t.cudaSuccess,)

    def cudaEventElapsedTime(self, begin, end):
        return cudaError_t.cudaSuccess, float(end[0] - begin[0])

    def cudaEventQuery(self, event):
        return (cudaError_t.cudaErrorNotReady if self.busy else cudaError_t.cudaSuccess,)

    def cudaEventDestroy(self, event):
        self.events -= 1
        return (cudaError_t.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream, mode):
        self.calls.append("cudaStreamBeginCapture")
        self.recording = []
        return (cudaError_t.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        recorded, self.recording = self.recording, None
        if not self.capturable:
            return cudaError_t.cudaErrorStreamCaptureInvalidated, None
        self.recorded += 1
        return cudaError_t.cudaSuccess, recorded

    def cudaGetLastError(self):
        return (cudaError_t.cudaSuccess,)

    def cudaGraphInstantiate(self, recorded, flags):
        number = len(self.calls)
        self.calls.append("cudaGraphInstantiate")
        if not self.instantiable:
            return cudaError_t.cudaErrorInvalidValue, None
        self.graphs[number] = recorded
        return cudaError_t.cudaSuccess, number

    def cudaGraphDestroy(self, recorded):
        self.recorded -= 1
        return (cudaError_t.cudaSuccess,)

    def cudaGraphExecDestroy(self, graph):
        del self.graphs[graph]
        return (cudaError_t.cudaSuccess,)

    def cudaGraphLaunch(self, graph, stream):
        self.calls.append("cudaGraphLaunch")
        for work in self.graphs[graph]:
            work()
        return (cudaError_t.cudaSuccess,)
