"""Looks at what goes through a network: sessions that measure tensors while a codec works.

Nothing here knows a codec. `RecordingSession` stands in for a session wherever one is used; `measure` does without
a codec, for a graph and any iterator of inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.calibration.graphs import MOVING, element_types, producers
from farlook.calibration.onnx_package import TensorProto, helper
from farlook.calibration.ranges import Histogram
from farlook.runtime.backends.ort.load import load
from farlook.runtime.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto

_LARGEST = "_largest"


class RecordingSession:
    """A graph in ONNX Runtime that measures its tensors at every run; see `farlook.runtime.backends.base.Session`.

    Attributes:
        histograms: Of the tensors that were asked for, by name.
        largest: The largest magnitude of every other tensor of floats, by name.
        runs: How often the graph was run.

    Args:
        model: As `farlook.calibration.graphs.read_graph` gives it.
        tensors: Of which to count magnitudes.
        label: What to call the graph in errors.
        threads: Threads of one run; 0 takes all cores.

    Raises:
        BackendError: onnxruntime cannot load the graph.
    """

    def __init__(self, model: ModelProto, tensors: Collection[str], label: str, threads: int = 0) -> None:
        self.histograms = {name: Histogram(name) for name in tensors}
        self.largest: dict[str, float] = {}
        self.runs = 0
        self._label = label
        self._outputs = [output.name for output in model.graph.output]
        watched = type(model)()
        watched.CopyFrom(model)
        _watch(watched, set(tensors))
        self._session = load(watched.SerializeToString(), label, threads)

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph once, and measure; see `Session.run`.

        Raises:
            CalibrationError: A tensor has values that are infinite or not numbers.
        """
        found = self._session.run(inputs)
        every = dict(inputs) | found
        for name, histogram in self.histograms.items():
            histogram.add(every[name].astype(np.float32, copy=False))
        for name in found.keys() - set(self._outputs) - self.histograms.keys():
            self._note(name.removesuffix(_LARGEST), float(found[name].item()))
        self.runs += 1
        return {name: found[name] for name in self._outputs}

    def magnitudes(self) -> dict[str, float]:
        """The largest magnitude of every tensor that was measured in either way, by name."""
        return self.largest | {name: histogram.largest for name, histogram in self.histograms.items()}

    def _note(self, name: str, value: float) -> None:
        if not np.isfinite(value):
            raise CalibrationError(
                f"{self._label}: the tensor {name!r} has values that are infinite or not numbers: the FP32 network "
                "fails on this picture, so it cannot be calibrated"
            )
        self.largest[name] = max(self.largest.get(name, 0.0), value)


def measure(
    model: ModelProto,
    tensors: Collection[str],
    feeds: Iterable[Mapping[str, NDArray[np.generic]]],
    label: str,
    threads: int = 0,
) -> RecordingSession:
    """Run a graph over inputs, one at a time, and measure it.

    Raises:
        BackendError: onnxruntime cannot load or run the graph.
        CalibrationError: There are no inputs, or a tensor has values that are infinite or not numbers.
    """
    session = RecordingSession(model, tensors, label, threads)
    for feed in feeds:
        session.run(feed)
    if not session.runs:
        raise CalibrationError(f"{label}: there is nothing to measure ranges on")
    return session


def _watch(model: ModelProto, tensors: set[str]) -> None:
    """Make outputs of `tensors`, and of the largest magnitude of every other tensor that is computed."""
    graph = model.graph
    types = element_types(model)
    known = {value.name for value in (*graph.input, *graph.output)}
    made_by = producers(graph)
    for name in sorted(tensors - known):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    for name, node in made_by.items():
        if types[name] != TensorProto.FLOAT or node.op_type in MOVING or name in tensors:
            continue
        scalar = f"{name}{_LARGEST}"
        graph.node.append(helper.make_node("Abs", [name], [f"{scalar}_abs"], name=f"{scalar}_abs"))
        graph.node.append(helper.make_node("ReduceMax", [f"{scalar}_abs"], [scalar], name=scalar, keepdims=0))
        graph.output.append(helper.make_tensor_value_info(scalar, TensorProto.FLOAT, []))
