"""ONNX graphs as calibration needs them: read, with constants folded and every tensor's type known."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.onnx_package import (
    ReferenceEvaluator,
    TensorProto,
    checker,
    numpy_helper,
    onnx,
    shape_inference,
    version_converter,
)
from farlook.runtime.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

OPSET = 19
"""The first in which QuantizeLinear and DequantizeLinear know FP16; onnxruntime's own quantiser stops at 20."""

WEIGHTED = frozenset({"Conv", "MatMul"})
"""Operators that are quantised where one input is constant."""

MOVING = frozenset(
    {
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators whose outputs hold nothing but values of their inputs."""

_FOLDED_BYTES = 1 << 26


def read_graph(data: bytes, label: str) -> ModelProto:
    """Read a model, name every node, fold what is constant, and raise it to `OPSET`.

    Args:
        data: A serialized ONNX model.
        label: What to call it in errors, as in "x.bundle: analysis".

    Raises:
        BundleError: It is no ONNX model, or has what these passes do not know: loops and branches, or an
            operator of another domain; the text names the node.
    """
    try:
        model = onnx.load_from_string(data)
        checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's errors share no base
        raise BundleError(f"{label}: the graph is damaged: {error}") from error
    _check_nodes(model.graph, label)
    name_nodes(model.graph)
    version = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if version < OPSET:
        ir_version = model.ir_version
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as error:  # the converter raises RuntimeError and whatever its C++ does
            raise BundleError(
                f"{label}: cannot be raised from opset {version} to {OPSET}: {error}"
            ) from error
        model.ir_version = max(ir_version, 9)
    name_nodes(model.graph)
    fold_constants(model)
    return model


def name_nodes(graph: GraphProto) -> None:
    """Give a name to every node that has none, or one that an earlier node has."""
    taken: Counter[str] = Counter()
    for index, node in enumerate(graph.node):
        name = node.name or f"{node.op_type}_{index}"
        node.name = name if not taken[name] else f"{name}_{index}"
        taken[name] += 1


class Names:
    """Gives names to new tensors that no tensor of a graph has.

    Args:
        graph: Whose tensors are not to be mixed up with new ones.
    """

    def __init__(self, graph: GraphProto) -> None:
        self._taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self._taken.update(each.name for each in (*graph.initializer, *graph.input, *graph.output))

    def fresh(self, wanted: str) -> str:
        """`wanted`, or the same with a number, if there is one of that name."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def constants(graph: GraphProto) -> dict[str, NDArray[Any]]:
    """The initializers' values, by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def fold_constants(model: ModelProto) -> None:
    """Compute, in place, every node whose inputs are all constant, and drop what nothing reads any more.

    Without it a weight that the graph scales before its convolution would count as an activation.
    """
    graph = model.graph
    known = constants(graph)
    kept = []
    for node in graph.node:
        if all(not name or name in known for name in node.input) and node.op_type != "DequantizeLinear":
            found = _evaluate(node, known, model)
            if sum(array.nbytes for array in found.values()) <= _FOLDED_BYTES:
                known.update(found)
                continue
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    replace_constants(graph, known)


def replace_constants(graph: GraphProto, known: dict[str, NDArray[Any]]) -> None:
    """Make `known` the initializers, but for those that nothing reads."""
    used = {name for node in graph.node for name in node.input}
    used.update(output.name for output in graph.output)
    del graph.initializer[:]
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        for name, array in known.items()
        if name in used
    )


def producers(graph: GraphProto) -> dict[str, NodeProto]:
    """The node that makes each tensor."""
    return {name: node for node in graph.node for name in node.output if name}


def consumers(graph: GraphProto) -> dict[str, list[NodeProto]]:
    """The nodes that read each tensor."""
    found: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            if name:
                found.setdefault(name, []).append(node)
    return found


def element_types(model: ModelProto) -> dict[str, int]:
    """The element type of every tensor, as `TensorProto` numbers them.

    Raises:
        BundleError: One cannot be told.
    """
    inferred = shape_inference.infer_shapes(model).graph
    types = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        types[value.name] = value.type.tensor_type.elem_type
    for node in model.graph.node:
        for name in node.output:
            if name and not types.get(name):
                raise BundleError(
                    f"{model.graph.name}: the type of {name!r}, of node {node.name!r}, is unknown"
                )
    return types


def weight_input(node: NodeProto, known: Iterable[str]) -> int | None:
    """Which input of a weighted node is the constant one; None if it has none, or is no weighted node."""
    known = set(known)
    if node.op_type == "Conv" and node.input[1] in known and node.input[0] not in known:
        return 1
    if node.op_type == "MatMul":
        fixed = [name in known for name in node.input]
        if sum(fixed) == 1:
            return fixed.index(True)
    return None


def weighted_nodes(graph: GraphProto) -> Iterator[tuple[NodeProto, int]]:
    """Every convolution and matrix product with a constant weight, and which input that is."""
    known = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        index = weight_input(node, known)
        if index is not None:
            yield node, index


def check(model: ModelProto, label: str) -> bytes:
    """Check a model that a pass wrote, types included, and serialize it.

    Raises:
        BundleError: It is not valid ONNX: a fault of farlook's.
    """
    try:
        checker.check_model(model, full_check=True)
    except Exception as error:  # as in read_graph
        raise BundleError(f"{label}: the rewritten graph is not valid: {error}") from error
    return bytes(model.SerializeToString(deterministic=True))


def count_types(data: bytes) -> dict[str, int]:
    """How many tensors that nodes make are of each type, as in {"float16": 80, "float": 4}."""
    model = onnx.load_from_string(data)
    types = element_types(model)
    made = [types[name] for node in model.graph.node for name in node.output if name]
    return dict(Counter(TensorProto.DataType.Name(each).lower() for each in made))


def _evaluate(node: NodeProto, known: dict[str, NDArray[Any]], model: ModelProto) -> dict[str, NDArray[Any]]:
    feeds = {name: known[name] for name in node.input if name}
    evaluator = ReferenceEvaluator(node, opsets={each.domain: each.version for each in model.opset_import})
    values = evaluator.run(None, feeds)
    return dict(zip(node.output, map(np.asarray, values), strict=False))


def _check_nodes(graph: GraphProto, label: str) -> None:
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise BundleError(
                f"{label}: node {node.name!r} is {node.domain}.{node.op_type}: only standard ONNX operators can "
                "be converted"
            )
        if any(
            each.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for each in node.attribute
        ):
            raise BundleError(
                f"{label}: node {node.name!r} ({node.op_type}) holds a graph of its own: loops and branches "
                "cannot be converted"
            )
