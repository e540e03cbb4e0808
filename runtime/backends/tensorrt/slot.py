"""What one thread needs to run an engine: contexts, a stream, and memory that stays from run to run.

    host array -> pinned memory -> device memory -> engine -> device memory -> pinned memory -> host array
                 |<------------------- one CUDA graph when shapes repeat ------------------->|

The first run of new shapes is put on the stream call by call, by a context that takes any shapes. If they come again,
they get a context of their own, which runs once and is then recorded into a CUDA graph; every further run launches
that as a whole. Runs on arrays that lie on the GPU use no graphs: those hold addresses, and the arrays' differ.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.cuda import ALIGNMENT, GPU, Cuda, DeviceMemory, Held, PinnedMemory
from farlook.runtime.backends.device import CUDA, DeviceArray, device_array
from farlook.runtime.backends.tensorrt.graphs import Graphs
from farlook.runtime.errors import BackendError
from farlook.runtime.profile.stages import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from farlook.runtime.backends.tensorrt.contexts import Contexts
    from farlook.runtime.backends.tensorrt.graphs import Key
    from farlook.runtime.backends.tensorrt.library import Library
    from farlook.runtime.backends.tensorrt.ports import Port, Shape


class Slot:
    """One thread's contexts.

    Args:
        library: TensorRT.
        cuda: CUDA's runtime.
        contexts: Makes execution contexts of the engine.
        ports: The engine's inputs and outputs.
        label: What to call the engine in errors.

    Attributes:
        stream: The CUDA stream that everything runs on.

    Raises:
        BackendError: There is no memory for it.
    """

    def __init__(
        self, library: Library, cuda: Cuda, contexts: Contexts, ports: tuple[Port, ...], label: str
    ) -> None:
        self._library, self._cuda, self._contexts, self._label = library, cuda, contexts, label
        self._inputs = [port for port in ports if port.is_input]
        self._outputs = [port for port in ports if not port.is_input]
        self._host: dict[str, PinnedMemory] = {}
        self._device: dict[str, DeviceMemory] = {}
        self._scratch = None if contexts.scratch is None else DeviceMemory(cuda, contexts.scratch)
        self._context = self._new_context()
        self.stream = cuda.stream()
        self._graphs = Graphs(cuda, self.stream)
        self._held = Held(cuda, self.stream)

    @property
    def note(self) -> str:
        """Why shapes run without a CUDA graph; empty if none was found that cannot be recorded."""
        return self._graphs.note

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once with arrays of the host; see `Session.run`."""
        key = tuple(inputs[port.name].shape for port in self._inputs)
        graph = self._graphs.get(key)
        context = self._context_for(key) if graph is None else graph.context
        shapes = self._shape(context, inputs) if graph is None else graph.shapes
        arrays = self._arrays(shapes)
        with stage("copies"):
            for port in self._inputs:
                np.copyto(arrays[port.name], inputs[port.name])
        if graph is None:
            self._address(context, shapes)
            self._work(context, arrays)
        else:
            self._graphs.launch(graph)
        self._synchronise()
        with stage("copies"):
            found = {port.name: arrays[port.name].copy() for port in self._outputs}
        if graph is None:
            self._remember(key, context, shapes, arrays)
        return found

    def run_device(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> dict[str, Any]:
        """Run once with arrays on the GPU; see `DeviceSession.run_device`."""
        self._held.let_go()
        given = {
            name: device_array(value, name, self.stream, self._cuda)
            for name, value in (*inputs.items(), *(outputs or {}).items())
        }
        kept = tuple(given.values())
        shapes = self._shape(self._context, {name: given[name] for name in inputs})
        results = {
            port.name: self._result(given[port.name])
            if port.name in given
            else self._new_output(port, shapes[port.name])
            for port in self._outputs
        }
        given |= results
        for port in (*self._inputs, *self._outputs):
            self._check(port, given[port.name], shapes[port.name])
            self._context.set_tensor_address(port.name, given[port.name].address)
        self._enqueue(self._context)
        self._held.keep(kept)
        return results

    def times(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Run once without a CUDA graph, and time it by events on the stream.

        Returns:
            Seconds of "copies in", "engine" and "copies out".
        """
        shapes = self._shape(self._context, inputs)
        arrays = self._arrays(shapes)
        for port in self._inputs:
            np.copyto(arrays[port.name], inputs[port.name])
        events = [self._cuda.call("cudaEventCreate") for _ in range(4)]
        steps: tuple[Callable[[Mapping[str, NDArray[Any]]], None], ...] = (
            self._copy_in,
            lambda _: self._enqueue(self._context),
            self._copy_out,
        )
        self._address(self._context, shapes)
        try:
            self._record(events[0])
            for step, event in zip(steps, events[1:], strict=True):
                step(arrays)
                self._record(event)
            self._synchronise()
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
        shapes = self._shape(self._context, inputs)
        arrays = self._arrays(shapes)
        for port in self._inputs:
            np.copyto(arrays[port.name], inputs[port.name])
        self._address(self._context, shapes)
        self._context.profiler = _profiler(
            self._library.module, lambda name, ms: found.append((name, 1e-3 * ms))
        )
        try:
            self._copy_in(arrays)
            self._enqueue(self._context)
            self._synchronise()
        finally:
            self._context.profiler = None
        return found

    def close(self) -> None:
        """Give back what CUDA keeps, after a wait for what runs."""
        if not self.stream:
            return
        for step in (self._synchronise, self._graphs.forget):
            with suppress(BackendError):
                step()
        with suppress(BackendError):
            self._cuda.call("cudaStreamDestroy", self.stream)
        self.stream = 0

    def __del__(self) -> None:
        if getattr(self, "stream", 0):
            self.close()

    def _new_context(self) -> Any:
        return self._contexts.make(0 if self._scratch is None else self._scratch.address)

    def _context_for(self, key: Key) -> Any:
        """What runs shapes without a graph: a context of their own if it is to be recorded."""
        if self._graphs.wants(key):
            try:
                return self._new_context()
            except BackendError as error:
                self._graphs.refuse(key, error)
        return self._context

    def _remember(
        self, key: Key, context: Any, shapes: Mapping[str, Shape], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """After a run without a graph: record the context that was made for it, and keep what was compiled."""
        if context is not self._context:
            self._graphs.record(key, context, shapes, lambda: self._work(context, arrays))
        if not self._graphs.knows(key):
            self._contexts.save()
        self._graphs.saw(key)

    def _shape(self, context: Any, inputs: Mapping[str, Any]) -> dict[str, Shape]:
        """Tell a context the inputs' shapes; the shapes of all inputs and outputs.

        Raises:
            BackendError: The engine does not take them.
        """
        shapes: dict[str, Shape] = {}
        for port in self._inputs:
            value = inputs[port.name]
            shapes[port.name] = tuple(value.shape)
            port.check(shapes[port.name], value.dtype, self._label)
            if not context.set_input_shape(port.name, shapes[port.name]):
                raise BackendError(self._failure(f"does not take {port.name} as {shapes[port.name]}"))
        for port in self._outputs:
            shape = tuple(context.get_tensor_shape(port.name))
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
            self._graphs.forget()  # they hold the old addresses
            memory = DeviceMemory(self._cuda, size)
            self._host[port.name] = held = PinnedMemory(self._cuda, size)
            self._device[port.name] = memory  # only now, as there may be room for one and not for the other
        return held.array(shape, port.dtype)

    def _new_output(self, port: Port, shape: Shape) -> DeviceArray:
        """Memory for an output, given back once the array and all that share it are gone."""
        size = int(np.prod(shape, dtype=np.int64)) * port.dtype.itemsize
        memory = DeviceMemory(self._cuda, size)
        return DeviceArray(
            memory.address,
            shape,
            port.dtype,
            self.stream,
            (memory, self),
            self._cuda.wait_for,
            (CUDA, GPU),
        )

    def _result(self, array: DeviceArray) -> DeviceArray:
        """The caller's array as an output: whoever takes it waits for this stream, which must be there then."""
        return replace(array, owner=(array.owner, self), wait_for=self._cuda.wait_for)

    def _check(self, port: Port, array: DeviceArray, shape: Shape) -> None:
        """Refuse an array that the engine cannot read from or write to.

        Raises:
            BackendError: It has another shape or type, an address that TensorRT does not take, or is read-only.
        """
        if array.shape != shape or array.dtype != port.dtype:
            raise BackendError(
                f"{port.name} of the {self._label} engine is {port.dtype} {shape}, not {array.dtype} {array.shape}"
            )
        if array.address % ALIGNMENT:
            raise BackendError(
                f"{port.name} does not begin at a multiple of {ALIGNMENT} bytes, as TensorRT needs: "
                "make a copy of it"
            )
        if array.read_only and not port.is_input:
            raise BackendError(f"{port.name} is read-only, so it cannot be written to: give another array")

    def _work(self, context: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._copy_in(arrays)
        self._enqueue(context)
        self._copy_out(arrays)

    def _synchronise(self) -> None:
        """Wait for all that was put on the stream, and give up what was held for it."""
        self._cuda.synchronise(self.stream)
        self._held.clear()

    def _address(self, context: Any, shapes: Mapping[str, Shape]) -> None:
        """Point a context to the slot's own memory."""
        for name in shapes:
            context.set_tensor_address(name, self._device[name].address)

    def _copy_in(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for port in self._inputs:
            device, host = self._device[port.name].address, self._host[port.name].address
            self._cuda.copy_in(device, host, arrays[port.name].nbytes, self.stream)

    def _copy_out(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        for port in self._outputs:
            device, host = self._device[port.name].address, self._host[port.name].address
            self._cuda.copy_out(host, device, arrays[port.name].nbytes, self.stream)

    def _enqueue(self, context: Any) -> None:
        if not context.execute_async_v3(self.stream):
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
