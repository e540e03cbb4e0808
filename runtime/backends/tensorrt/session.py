"""One engine, loaded in TensorRT or TensorRT for RTX."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.tensorrt.contexts import Contexts
from farlook.runtime.backends.tensorrt.inspect import engine_layers
from farlook.runtime.backends.tensorrt.ports import check_names, check_outputs, ports_of
from farlook.runtime.backends.tensorrt.slot import Slot
from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from farlook.runtime.backends.cuda import Cuda
    from farlook.runtime.backends.tensorrt.library import Library


class EngineSession:
    """An engine that may be run from many threads: each gets contexts, a stream and memory of its own.

    It runs on the first GPU, whichever is the calling thread's.

    Args:
        library: TensorRT.
        cuda: CUDA's runtime.
        loaded: The runtime and the engine, as `Library.deserialise` gives them.
        label: What to call it in errors, as in "analysis".
        kernels: RTX only: file for kernels compiled at run time.

    Attributes:
        ports: The engine's inputs and outputs.
    """

    def __init__(
        self, library: Library, cuda: Cuda, loaded: tuple[Any, Any], label: str, kernels: Path | None = None
    ) -> None:
        self._library, self._cuda, self._label = library, cuda, label
        self._runtime, self._engine = loaded
        self.ports = ports_of(library, self._engine)
        self._contexts = Contexts(library, self._engine, label, kernels)
        self._threads = threading.local()

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the engine once; see `Session.run`."""
        arrays = self._checked(inputs)
        with self._cuda.on_gpu():
            return self._slot().run(arrays)

    def run_device(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the engine once on arrays that lie on the GPU; see `DeviceSession.run_device`.

        It returns at once, and keeps inputs and outputs until the engine is done with them. Read an output through
        the array that is returned, an own one too: whoever takes that lets his stream wait for the engine's, as
        both protocols say. Until then, the inputs must stay as they are.

        Args:
            inputs: See `DeviceSession.run_device`.
            outputs: Arrays to write to, by name. For those not named, memory is taken, and given back when the last
                array that shares it goes, which waits for the GPU: name them where many runs follow one another.

        Raises:
            BackendError: See `DeviceSession.run_device`; or an output is none of the engine's, or is read-only.
        """
        check_names(inputs, self.ports, self._label)
        check_outputs(outputs or {}, self.ports, self._label)
        with self._cuda.on_gpu():
            return self._slot().run_device(inputs, outputs)

    def times(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, float]:
        """Seconds of "copies in", "engine" and "copies out" of one run, by CUDA events on its stream."""
        arrays = self._checked(inputs)
        with self._cuda.on_gpu():
            return self._slot().times(arrays)

    def layer_times(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[tuple[str, float]]:
        """Run once with TensorRT's profiler: names and seconds of layers, in the engine's order."""
        arrays = self._checked(inputs)
        with self._cuda.on_gpu():
            return self._slot().layer_times(arrays)

    def layers(self) -> list[dict[str, Any]]:
        """What the engine is made of; see `farlook.runtime.backends.tensorrt.inspect.engine_layers`."""
        return engine_layers(self._library, self._engine)

    def prove(self) -> None:
        """Run the engine on zeros of its smallest shapes.

        Raises:
            BackendError: It fails, or something that is no number comes out.
        """
        zeros = {port.name: np.zeros(port.smallest, port.dtype) for port in self.ports if port.is_input}
        for name, array in self.run(zeros).items():
            if not np.isfinite(array).all():
                raise BackendError(f"the {self._label} engine gives {name} that is no number for zeros")

    @property
    def note(self) -> str:
        """Why some of this thread's runs use no CUDA graphs; empty if all that could did, or none was tried yet."""
        slot: Slot | None = getattr(self._threads, "slot", None)
        return "" if slot is None else slot.note

    def _checked(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        check_names(inputs, self.ports, self._label)
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        for port in self.ports:
            if port.is_input:
                port.check(arrays[port.name].shape, arrays[port.name].dtype, self._label)
        return arrays

    def _slot(self) -> Slot:
        slot: Slot | None = getattr(self._threads, "slot", None)
        if slot is None:
            slot = self._threads.slot = Slot(
                self._library, self._cuda, self._contexts, self.ports, self._label
            )
        return slot
