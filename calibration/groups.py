"""What is quantised together: one weighted node with what it reads, or one sum inside the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farlook.calibration.graphs import consumers, producers, weighted_nodes
from farlook.calibration.onnx_package import shape_inference

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True)
class Group:
    """One group.

    Attributes:
        name: The node's.
        op: Its operator: "Conv", "MatMul", or "Add".
        activations: Which of its inputs are tensors to quantise, by number.
        weight: Which of its inputs is the constant weight, by number; None for an Add.
        axis: The weight's axis of output channels.
        weights: Numbers in the weight.
    """

    name: str
    op: str
    activations: tuple[int, ...]
    weight: int | None = None
    axis: int = 0
    weights: int = 0


def find_groups(model: ModelProto) -> list[Group]:
    """All groups of a graph, in its order.

    Convolutions and matrix products with a constant weight; and sums of two maps that the network goes on with,
    whose inputs are quantised too, unless they come straight from a weighted node: that one an engine adds in its
    accumulator. Transposed convolutions are left alone: INT8 forms of them are unreliable in TensorRT.
    """
    graph = model.graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    weighted = {node.name: index for node, index in weighted_nodes(graph)}
    inner = _reaching(model, set(weighted))
    maps = _maps(model)
    made_by = producers(graph)
    groups = []
    for node in graph.node:
        if node.name in weighted:
            group = _weighted(node, weighted[node.name], shapes)
            if group is not None:
                groups.append(group)
        elif node.op_type == "Add" and node.name in inner and set(node.input) <= maps:
            sources = [made_by.get(name) for name in node.input]
            inputs = tuple(i for i, made in enumerate(sources) if made is None or made.name not in weighted)
            if inputs:
                groups.append(Group(node.name, "Add", inputs))
    return groups


def _weighted(node: NodeProto, index: int, shapes: dict[str, list[int]]) -> Group | None:
    shape = shapes[node.input[index]]
    if len(shape) < 2:
        return None
    size = 1
    for length in shape:
        size *= length
    # Rows of a left factor and columns of a right one are what output channels are made of.
    axis = 0 if node.op_type == "Conv" else len(shape) - 1 if index else len(shape) - 2
    return Group(node.name, node.op_type, (1 - index,), index, axis, size)


def _reaching(model: ModelProto, weighted: set[str]) -> set[str]:
    """Nodes whose output, in the end, goes into a weighted node."""
    read_by = consumers(model.graph)
    found: set[str] = set()
    for node in reversed(model.graph.node):
        readers = [each.name for name in node.output for each in read_by.get(name, ())]
        if any(name in weighted or name in found for name in readers):
            found.add(node.name)
    return found


def _maps(model: ModelProto) -> set[str]:
    """Tensors of four axes that grow with the picture."""
    found = set()
    inferred = shape_inference.infer_shapes(model).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4 and all(dim.WhichOneof("value") != "dim_value" for dim in dims[2:]):
            found.add(value.name)
    return found
