"""Explicit symmetric INT8: QuantizeLinear and DequantizeLinear nodes around what is quantised.

    x -> Q -> DQ -> Conv        one scale for an activation, zero point 0
    w (int8) -> DQ ---^         one scale for each output channel of a weight, zero point 0

Biases stay floats. Scales are numbers that FP16 has, so that the graph means the same however the rest of it is
stored. A tensor that several groups read gets one pair of nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.graphs import Names, constants, replace_constants
from farlook.calibration.onnx_package import helper, numpy_helper
from farlook.runtime.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from farlook.calibration.groups import Group

LARGEST = 127
SMALLEST_SCALE = 2.0**-14
"""The least normal number of FP16; weights of a channel below 127 times it are rounded to multiples of it."""

ZERO = "farlook_zero"


def insert_qdq(model: ModelProto, groups: Iterable[Group], thresholds: Mapping[str, float]) -> ModelProto:
    """Quantise groups of a graph of FP32; `model` is left as it is.

    Args:
        model: As `farlook.calibration.graphs.read_graph` gives it.
        groups: What to quantise.
        thresholds: The largest magnitude to represent of each activation, by name.

    Raises:
        CalibrationError: An activation was not measured, or a range or weight cannot be represented.
    """
    made = type(model)()
    made.CopyFrom(model)
    writer = _Writer(made, thresholds)
    wanted = {group.name: group for group in groups}
    for node in made.graph.node:
        if node.name in wanted:
            writer.quantise(node, wanted[node.name])
        writer.nodes.append(node)
    nodes = list(writer.nodes)
    del made.graph.node[:], made.graph.value_info[:]
    made.graph.node.extend(nodes)
    replace_constants(made.graph, writer.known)
    return made


def scale_of(largest: NDArray[np.float64] | float, what: str = "a tensor") -> NDArray[np.float32]:
    """Scales for magnitudes up to `largest`: float32, but numbers that FP16 has, rounded up; never 0.

    Raises:
        CalibrationError: One is infinite, not a number, or too large for FP16.

    >>> float(scale_of(127.0)), float(scale_of(0.0)) == SMALLEST_SCALE
    (1.0, True)
    """
    exact = np.maximum(np.asarray(largest, np.float64) / LARGEST, SMALLEST_SCALE)
    with np.errstate(over="ignore"):
        half = exact.astype(np.float16)
        half = np.where(half.astype(np.float64) < exact, np.nextafter(half, np.float16(np.inf)), half)
    if not np.all(np.isfinite(half)):
        raise CalibrationError(f"{what} reaches {np.max(largest)}: too far for INT8 with a scale in FP16")
    return np.asarray(half).astype(np.float32)


def quantise_weight(
    weight: NDArray[Any], axis: int, what: str
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A weight as int8, and a scale for each channel along `axis`; channels of nothing but zeros stay zero."""
    others = tuple(each for each in range(weight.ndim) if each != axis)
    scales = scale_of(np.abs(weight).max(axis=others).astype(np.float64), what)
    shape = [1] * weight.ndim
    shape[axis] = -1
    integers = np.clip(np.rint(weight / scales.reshape(shape)), -LARGEST, LARGEST).astype(np.int8)
    return integers, scales


class _Writer:
    """Adds nodes and constants to one graph."""

    def __init__(self, model: ModelProto, thresholds: Mapping[str, float]) -> None:
        self.known = constants(model.graph)
        self.nodes: list[NodeProto] = []
        self._thresholds = thresholds
        self._done: dict[tuple[str, int], str] = {}
        self._names = Names(model.graph)
        self._zero = self._names.fresh(ZERO)

    def quantise(self, node: NodeProto, group: Group) -> None:
        """Let a node read quantised inputs."""
        for index in group.activations:
            node.input[index] = self._activation(node.input[index])
        if group.weight is not None:
            node.input[group.weight] = self._weight(node.input[group.weight], group.axis)

    def _activation(self, name: str) -> str:
        if (name, -1) not in self._done:
            if name not in self._thresholds:
                raise CalibrationError(f"the range of the tensor {name!r} was not measured")
            scale, integers, target = (self._names.fresh(f"{name}_{end}") for end in ("scale", "q", "dq"))
            self.known[scale] = scale_of(self._thresholds[name], f"the tensor {name!r}").reshape(())
            self.known.setdefault(self._zero, np.zeros((), np.int8))
            self._add("QuantizeLinear", [name, scale, self._zero], integers, f"{name}_Q")
            self._add("DequantizeLinear", [integers, scale, self._zero], target, f"{name}_DQ")
            self._done[name, -1] = target
        return self._done[name, -1]

    def _weight(self, name: str, axis: int) -> str:
        if (name, axis) not in self._done:
            stem = f"{name}_axis{axis}"
            integers, scales = quantise_weight(self.known[name], axis, f"the weight {name!r}")
            values: dict[str, NDArray[Any]] = {
                "q": integers,
                "scale": scales,
                "zero": np.zeros(len(scales), np.int8),
            }
            inputs = [self._names.fresh(f"{stem}_{end}") for end in values]
            self.known.update(zip(inputs, values.values(), strict=True))
            target = self._names.fresh(f"{stem}_dq")
            self._add("DequantizeLinear", inputs, target, f"{stem}_DQ", axis=axis)
            self._done[name, axis] = target
        return self._done[name, axis]

    def _add(self, op: str, inputs: list[str], output: str, name: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))


def scales(model: ModelProto) -> dict[str, NDArray[Any]]:
    """The scale of every DequantizeLinear of a graph, by the node's name."""
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    return {
        node.name: numpy_helper.to_array(known[node.input[1]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
    }
