"""Rewrites a graph of opset 18 in opset 17.

The exporter writes opset 18 and up. Its own way down, the converter of the onnx package, gives up at the
first Pad and leaves the model as it was; but what opset 18 changed about the operators of image networks is
little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx import defs, helper, numpy_helper

from farlook.export.lower import all_nodes
from farlook.runtime.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto, TensorProto

# What opset 18 added: the number of inputs there were before, and attributes whose absence means the old
# behaviour.
_EXTENDED: Mapping[str, tuple[int, set[str]]] = {
    "Pad": (3, set()),
    "Resize": (4, {"antialias", "axes", "keep_aspect_ratio_policy"}),
    "Split": (2, {"num_outputs"}),
}
# Opset 18 turned the axes of these from an attribute into an input.
_REDUCTIONS = {
    f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
}


def to_opset_17(model: ModelProto, name: str) -> None:
    """Rewrite `model`, standard ONNX of opset 18, in place.

    Raises:
        ExportError: A node uses what only opset 18 has; names it.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in all_nodes(model.graph):
        expressible = _move_axes(node, constants) if node.op_type in _REDUCTIONS else _is_in_opset_17(node)
        if not expressible:
            raise ExportError(
                f"{name}: node {node.name!r} ({node.op_type}) has no form in opset 17; export with 18 to 20"
            )
    model.opset_import[0].version = 17
    _drop_unused(model, constants)


def _is_in_opset_17(node: NodeProto) -> bool:
    """Whether a node of opset 18 is valid, and means the same, in opset 17."""
    if node.op_type not in _EXTENDED:
        return bool(defs.get_schema(node.op_type, 18).since_version < 18)
    inputs, added = _EXTENDED[node.op_type]
    return len(node.input) <= inputs and not added.intersection(
        attribute.name for attribute in node.attribute
    )


def _move_axes(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    """Turn the axes of a reduction from an input into an attribute; false if they are not known."""
    kept = [attribute for attribute in node.attribute if attribute.name != "noop_with_empty_axes"]
    noop = any(attribute.i for attribute in node.attribute if attribute.name == "noop_with_empty_axes")
    named = len(node.input) > 1 and node.input[1] != ""
    if (named and node.input[1] not in constants) or (noop and not named):
        return False
    if named:
        axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
        if not axes:
            return False
        kept.append(helper.make_attribute("axes", axes))
    del node.input[1:], node.attribute[:]
    node.attribute.extend(kept)
    return True


def _drop_unused(model: ModelProto, constants: Mapping[str, TensorProto]) -> None:
    """Remove the initializers that nothing reads any more: the axes that became attributes."""
    used = {name for node in all_nodes(model.graph) for name in node.input}
    used.update(output.name for output in model.graph.output)
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensor for name, tensor in constants.items() if name in used)
