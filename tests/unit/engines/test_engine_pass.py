"""FP16 graphs that are made of a bundle's FP32 ones are always the same: engines of them are known by a number."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from farlook.runtime.engines import FP16_PASS

onnx = pytest.importorskip("onnx")

from farlook.calibration.fp16 import to_fp16  # noqa: E402  # needs onnx
from farlook.calibration.graphs import read_graph  # noqa: E402

MADE = {2: "6039816225a6b4979651fe830fb4f4db93b52fa817de7dd10557ea3662be3088"}
"""What the pass of each number makes of `network`, as `listing`'s SHA-256."""


def network():
    """What the pass treats in ways of their own: edges, branches, a sum of squares, numbers that FP16 cannot hold."""
    helper, kinds, array = onnx.helper, onnx.TensorProto, onnx.numpy_helper.from_array
    weights = (np.arange(36, dtype=np.float32).reshape(4, 1, 3, 3) - 17) / 16
    constants = [
        array(np.float32(1 / 255), "scale"),
        array(weights, "w1"),
        array(weights.reshape(1, 4, 3, 3), "w2"),
        array(np.full((1, 4, 1, 1), 1e6, np.float32), "large"),
        array(np.full((1, 1, 1, 1), 1e-9, np.float32), "tiny"),
        array(np.array([1], np.int64), "axes"),
        array(np.array([1, 1, 2, 2], np.float32), "scales"),
    ]
    nodes = [
        helper.make_node("Mul", ["image", "scale"], ["unit"], "unit"),
        helper.make_node("Conv", ["unit", "w1"], ["c1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu"),
        helper.make_node("ReduceSumSquare", ["r1", "axes"], ["energy"], "energy"),
        helper.make_node("Add", ["energy", "tiny"], ["divisor"], "guard"),
        helper.make_node("Div", ["r1", "divisor"], ["n1"], "normalise"),
        helper.make_node("Transpose", ["energy"], ["moved"], "move", perm=[0, 1, 3, 2]),
        helper.make_node("Transpose", ["moved"], ["back"], "back", perm=[0, 1, 3, 2]),
        helper.make_node("GlobalAveragePool", ["n1"], ["level"], "level"),
        helper.make_node("Add", ["level", "back"], ["sum"], "sum"),
        helper.make_node("Add", ["n1", "sum"], ["a1"], "add"),
        helper.make_node("Mul", ["a1", "large"], ["m1"], "enlarge"),
        helper.make_node("Div", ["m1", "large"], ["d1"], "reduce"),
        helper.make_node("Resize", ["d1", "", "scales"], ["up"], "up"),
        helper.make_node("Conv", ["up", "w2"], ["c2"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["c2"], ["y"], "clip"),
    ]
    shape = ["batch", 1, "8*rows", "8*columns"]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("image", kinds.FLOAT, shape)],
        [value("y", kinds.FLOAT, ["batch", 1, "16*rows", "16*columns"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def listing(model):
    """All that a graph computes, as text: no order of bytes within a file, which is up to the package onnx."""
    lines = [
        f"{node.op_type} {list(node.input)} {list(node.output)} "
        f"{sorted((each.name, str(onnx.helper.get_attribute_value(each))) for each in node.attribute)}"
        for node in model.graph.node
    ]
    for tensor in sorted(model.graph.initializer, key=lambda each: each.name):
        values = onnx.numpy_helper.to_array(tensor)
        lines.append(f"{tensor.name} {values.dtype} {values.shape} {values.tobytes().hex()}")
    return "\n".join(lines)


def test_the_pass_makes_what_its_number_says():
    text = listing(to_fp16(read_graph(network(), "g")).model)
    assert hashlib.sha256(text.encode()).hexdigest() == MADE[FP16_PASS], (
        "the FP16 pass makes another graph than before: give FP16_PASS of farlook.runtime.engines the next number, and "
        f"note its digest here\n{text}"
    )
