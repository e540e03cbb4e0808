"""One engine, loaded in TensorRT or TensorRT for RTX."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.tensorrt.inspect import engine_layers
from farlook.runtime.backends.tensorrt.kernels import KernelCache
from farlook.runtime.backends.tensorrt.ports import check_names, ports_of
from farlook.runtime.backends.tensorrt.slot import Slot
from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from farlook.runtime.backends.cuda import Cuda
    from farlook.runtime.backends.tensorrt.library import Library


class EngineSession:
    """An engine that may be run from many threads: each gets a context, a stream and memory of its own.

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
        self._kernels = KernelCache(library, self._engine, kernels)
        self._threads = threading.local()

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the engine once; see `Session.run`."""
        arrays = self._checked(inputs)
        return self._slot().run(arrays)

    def run_device(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Run the engine once on arrays that lie on the GPU; see `DeviceSession.run_device`.

        It returns at once: whoever takes an output lets his stream wait for the output's, as both protocols
        say. The inputs must stay as they are until then.

        Args:
            inputs: See `DeviceSession.run_device`.
            outputs: Arrays to write to, by name; for those not named, memory is taken.
        """
        check_names(inputs, self.ports, self._label)
        return self._slot().run_device(inputs, outputs)

    def times(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, float]:
        """Seconds of "copies in", "engine" and "copies out" of one run, by CUDA events on its stream."""
        return self._slot().times(self._checked(inputs))

    def layer_times(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[tuple[str, float]]:
        """Run once with TensorRT's profiler: names and seconds of layers, in the engine's order."""
        return self._slot().layer_times(self._checked(inputs))

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
        """Why this thread's runs do not use CUDA graphs; empty if they do, or none was tried yet."""
        return self._slot().note

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
            context = self._kernels.context()
            if context is None:
                why = self._library.problem("TensorRT gives no reason")
                raise BackendError(
                    f"the {self._label} engine gets no context, most often for want of GPU memory: {why}"
                )
            slot = self._threads.slot = Slot(
                self._library, self._cuda, context, self.ports, self._label, self._kernels.save
            )
        return slot
