"""What one thread needs to run an engine: a context, a stream, and memory that stays from run to run.

    host array -> pinned memory -> device memory -> engine -> device memory -> pinned memory -> host array
                 |<------------------- one CUDA graph when shapes repeat ------------------->|

The first run of new shapes is put on the stream call by call, as TensorRT sets itself up in it. The second one is
recorded into a CUDA graph, which every further run launches as a whole.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.cuda import ALIGNMENT, Cuda, DeviceMemory, PinnedMemory
from farlook.runtime.backends.device import DeviceArray, device_array
from farlook.runtime.errors import BackendError
from farlook.runtime.profile.stages import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from farlook.runtime.backends.tensorrt.library import Library
    from farlook.runtime.backends.tensorrt.ports import Port, Shape

    Key = tuple[Shape, ...]

_GRAPHS = 16
"""Shapes whose CUDA graphs are kept: windows at the rims of a picture have up to nine."""


class Slot:
    """One thread's context.

    Args:
        library: TensorRT.
        cuda: CUDA's runtime.
        context: An execution context of the engine.
        ports: The engine's inputs and outputs.
        label: What to call the engine in errors.
        grown: Called after the first run of new shapes.

    Attributes:
        stream: The CUDA stream that everything runs on.
        note: Why no CUDA graphs are used; empty if they are, or have not been tried.
    """

    def __init__(
        self,
        library: Library,
        cuda: Cuda,
        context: Any,
        ports: tuple[Port, ...],
        label: str,
        grown: Callable[[], None] = lambda: None,
    ) -> None:
        self._library, self._cuda, self._context, self._label = library, cuda, context, label
        self._grown = grown
        self._inputs = [port for port in ports if port.is_input]
        self._outputs = [port for port in ports if not port.is_input]
        self._host: dict[str, PinnedMemory] = {}
        self._device: dict[str, DeviceMemory] = {}
        self._graphs: OrderedDict[Key, Any] = OrderedDict()
        self._seen: dict[Key, dict[str, Shape]] = {}
        self.stream = cuda.stream()
        self.note = ""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once with arrays of the host; see `Session.run`."""
        key = tuple(inputs[port.name].shape for port in self._inputs)
        # A recorded graph runs with the shapes it was recorded with, whatever the context's are.
        shapes = self._seen[key] if key in self._graphs else self._shape(inputs)
        arrays = self._arrays(shapes)
        with stage("copies"):
            for port in self._inputs:
                np.copyto(arrays[port.name], inputs[port.name])
        new = key not in self._seen
        self._launch(key, shapes, arrays)
        self._cuda.synchronise(self.stream)
        if new:
            self._grown()
        with stage("copies"):
            return {port.name: arrays[port.name].copy() for port in self._outputs}

    def run_device(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> dict[str, Any]:
        """Run once with arrays on the GPU; see `DeviceSession.run_device`."""
        wait_for = self._cuda.wait_for
        given = {
            name: device_array(value, name, self.stream, wait_for)
            for name, value in (*inputs.items(), *(outputs or {}).items())
        }
        shapes = self._shape({name: given[name] for name in inputs})
        kept = tuple(given[name] for name in inputs)
        for port in self._outputs:
            if port.name not in given:
                given[port.name] = self._new_output(port, shapes[port.name], kept)
        for port in (*self._inputs, *self._outputs):
            array = given[port.name]
            if array.shape != shapes[port.name] or array.dtype != port.dtype:
                raise BackendError(
                    f"{port.name} of the {self._label} engine is {port.dtype} {shapes[port.name]}, not "
                    f"{array.dtype} {array.shape}"
                )
            if array.address % ALIGNMENT:
                raise BackendError(
                    f"{port.name} does not begin at a multiple of {ALIGNMENT} bytes, as TensorRT needs: "
                    "make a copy of it"
                )
            self._context.set_tensor_address(port.name, array.address)
        self._enqueue()
        return {port.name: given[port.name] for port in self._outputs}

    def times(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Run once without a CUDA graph, and time it by events on the stream.

        Returns:
            Seconds of "copies in", "engine" and "copies out".
        """
        shapes = self._shape(inputs)
        arrays = self._arrays(shapes)
        for port in self._inputs:
            np.copyto(arrays[port.name], inputs[port.name])
        events = [self._cuda.call("cudaEventCreate") for _ in range(4)]
        steps: tuple[Callable[[Mapping[str, NDArray[Any]]], None], ...] = (
            self._copy_in,
            lambda _: self._enqueue(),
            self._copy_out,
        )
        self._address(shapes)
        try:
            self._record(events[0])
            for step, event in zip(steps, events[1:], strict=True):
                step(arrays)
                self._record(event)
            self._cuda.synchronise(self.stream)
            spans = [
                1e-3 * self._cuda.call("cudaEventElapsedTime", begin, end) for begin, end in pairwise(events)
            ]
        finally:
            for event in events:
                self._cuda.call("cudaEventDestroy", event)
        return dict(zip(("copies in", "engine", "copies out"), spans, strict=True))

    def layer_times(self, inputs: Mapping[str, NDArray[Any]]) -> list[tuple[str, float]]:
        """Run once with TensorRT's profiler: each layer's name and seconds, in the engine's order."""
        found: list[tuple[str, float]] = []
        shapes = self._shape(inputs)
        arrays = self._arrays(shapes)
        for port in self._inputs:
            np.copyto(arrays[port.name], inputs[port.name])
        self._address(shapes)
        self._context.profiler = _profiler(
            self._library.module, lambda name, ms: found.append((name, 1e-3 * ms))
        )
        try:
            self._copy_in(arrays)
            self._enqueue()
            self._cuda.synchronise(self.stream)
        finally:
            self._context.profiler = None
        return found

    def close(self) -> None:
        """Give back what CUDA keeps; the context must not be in use."""
        for graph in self._graphs.values():
            with suppress(BackendError):
                self._cuda.call("cudaGraphExecDestroy", graph)
        self._graphs.clear()
        if self.stream:
            with suppress(BackendError):
                self._cuda.call("cudaStreamDestroy", self.stream)
            self.stream = 0

    def __del__(self) -> None:
        if getattr(self, "stream", 0):
            self.close()

    def _shape(self, inputs: Mapping[str, Any]) -> dict[str, Shape]:
        """Tell the context the inputs' shapes; the shapes of all inputs and outputs.

        Raises:
            BackendError: The engine does not take them.
        """
        shapes: dict[str, Shape] = {}
        for port in self._inputs:
            value = inputs[port.name]
            shapes[port.name] = tuple(value.shape)
            port.check(shapes[port.name], value.dtype, self._label)
            if not self._context.set_input_shape(port.name, shapes[port.name]):
                raise BackendError(self._failure(f"does not take {port.name} as {shapes[port.name]}"))
        for port in self._outputs:
            shape = tuple(self._context.get_tensor_shape(port.name))
            if any(length < 0 for length in shape):
                raise BackendError(self._failure(f"does not know the shape of {port.name} beforehand"))
            shapes[port.name] = shape
        return shapes

    def _arrays(self, shapes: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
        """Pinned memory of all inputs and outputs."""
        ports = (*self._inputs, *self._outputs)
        return {port.name: self._host_array(port, shapes[port.name]) for port in ports}

    def _host_array(self, port: Port, shape: Shape) -> NDArray[Any]:
        """Pinned memory of a port, with as much on the device; grown if it is too small."""
        size = int(np.prod(shape, dtype=np.int64)) * port.dtype.itemsize
        held = self._host.get(port.name)
        if held is None or held.size < size:
            self._forget_graphs()  # they hold the old addresses
            self._host[port.name] = held = PinnedMemory(self._cuda, size)
            self._device[port.name] = DeviceMemory(self._cuda, size)
        return held.array(shape, port.dtype)

    def _new_output(self, port: Port, shape: Shape, kept: tuple[DeviceArray, ...]) -> DeviceArray:
        """Memory for an output. It keeps the inputs, which the engine may still read when the caller goes on."""
        size = int(np.prod(shape, dtype=np.int64)) * port.dtype.itemsize
        memory = DeviceMemory(self._cuda, size)
        return DeviceArray(
            memory.address, shape, port.dtype, self.stream, (memory, self, kept), self._cuda.wait_for
        )

    def _launch(self, key: Key, shapes: dict[str, Shape], arrays: Mapping[str, NDArray[Any]]) -> None:
        graph = self._graphs.get(key)
        if graph is None and key in self._seen and not self.note:
            self._address(shapes)
            graph = self._capture(key, arrays)
        if graph is not None:
            self._graphs.move_to_end(key)
            self._cuda.call("cudaGraphLaunch", graph, self.stream)
            return
        self._address(shapes)
        self._work(arrays)
        self._seen[key] = shapes

    def _work(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._copy_in(arrays)
        self._enqueue()
        self._copy_out(arrays)

    def _capture(self, key: Key, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """Record the work as a CUDA graph; None, and `note`, if this engine cannot be recorded."""
        runtime, call = self._cuda.runtime, self._cuda.call
        call(
            "cudaStreamBeginCapture",
            self.stream,
            runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal,
        )
        try:
            self._work(arrays)
        except BackendError as error:
            self.note = f"no CUDA graph: {error}"
        try:
            recorded = call("cudaStreamEndCapture", self.stream)
        except BackendError as error:
            self.note = self.note or f"no CUDA graph: {error}"
        if self.note:
            runtime.cudaGetLastError()  # a broken recording stays the last error until it is asked for
            return None
        graph = call("cudaGraphInstantiate", recorded, 0)
        call("cudaGraphDestroy", recorded)
        self._graphs[key] = graph
        if len(self._graphs) > _GRAPHS:
            call("cudaGraphExecDestroy", self._graphs.popitem(last=False)[1])
        return graph

    def _forget_graphs(self) -> None:
        if self._graphs:
            self._cuda.synchronise(self.stream)
        for graph in self._graphs.values():
            self._cuda.call("cudaGraphExecDestroy", graph)
        self._graphs.clear()
        self._seen.clear()

    def _address(self, shapes: Mapping[str, Shape]) -> None:
        """Point the context to the slot's own memory."""
        for name in shapes:
            self._context.set_tensor_address(name, self._device[name].address)

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for port in self._inputs:
            device, host = self._device[port.name].address, self._host[port.name].address
            self._cuda.copy_in(device, host, arrays[port.name].nbytes, self.stream)

    def _copy_out(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for port in self._outputs:
            device, host = self._device[port.name].address, self._host[port.name].address
            self._cuda.copy_out(host, device, arrays[port.name].nbytes, self.stream)

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self.stream):
            raise BackendError(self._failure("failed"))

    def _record(self, event: Any) -> None:
        self._cuda.call("cudaEventRecord", event, self.stream)

    def _failure(self, what: str) -> str:
        return f"the {self._label} engine {what}: {self._library.problem('TensorRT gives no reason')}"


def _profiler(module: Any, keep: Callable[[str, float], None]) -> Any:
    class Profiler(module.IProfiler):  # type: ignore[misc]  # the module is chosen as the program runs
        def __init__(self) -> None:
            module.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            keep(layer_name, ms)

    return Profiler()
