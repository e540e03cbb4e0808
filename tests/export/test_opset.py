"""The way down to opset 17, node by node."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from farlook.export.opset import to_opset_17
from farlook.runtime.errors import ExportError


def model_of(op_type, *inputs, **attributes):
    """One node of opset 18 from `x`, float32 `[2, 4, 4]`, and constant inputs; None leaves an input out."""
    names = ["" if value is None else f"c{index}" for index, value in enumerate(inputs)]
    constants = [
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in zip(names, inputs, strict=True)
        if value is not None
    ]
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", *names], ["y"], "it", **attributes)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model):
    x = np.random.default_rng(5).normal(size=(2, 4, 4)).astype(np.float32)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": x})[0]


AXES = np.array([1, 2])
PADS = np.array([0, 1, 1, 0, 1, 2])
SCALES = np.array([1, 2, 2], np.float32)


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("ReduceMax", [AXES], {"keepdims": 1}),
        ("ReduceMean", [AXES], {"keepdims": 0}),
        ("ReduceMin", [], {"keepdims": 1}),
        ("ReduceL2", [None], {}),
        ("ReduceSum", [AXES], {}),
        ("Pad", [PADS], {"mode": "edge"}),
        ("Pad", [PADS, np.float32(3)], {}),
        ("Resize", [None, SCALES], {"mode": "nearest"}),
        ("Relu", [], {}),
    ],
)
def test_the_result_stays(op_type, inputs, attributes):
    model = model_of(op_type, *inputs, **attributes)
    expected = run(model)
    to_opset_17(model, "analysis")
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, expected.shape))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    np.testing.assert_array_equal(run(model), expected)


def test_axes_that_became_an_attribute_leave_no_initializer():
    model = model_of("ReduceMax", AXES)
    to_opset_17(model, "analysis")
    assert not model.graph.initializer


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"),
    [
        ("ReduceMax", [], {"noop_with_empty_axes": 1}),
        ("ReduceMax", [np.array([], np.int64)], {}),
        ("Pad", [np.array([1, 1]), None, np.array([1])], {}),
        ("Resize", [None, SCALES], {"antialias": 1, "mode": "linear"}),
        ("Split", [], {"num_outputs": 1}),
        ("Mish", [], {}),
    ],
)
def test_what_only_opset_18_says_is_named(op_type, inputs, attributes):
    model = model_of(op_type, *inputs, **attributes)
    with pytest.raises(ExportError, match=rf"analysis: node 'it' \({op_type}\) has no form in opset 17"):
        to_opset_17(model, "analysis")


def test_axes_that_are_computed_cannot_become_an_attribute():
    model = model_of("ReduceMax", AXES)
    model.graph.node[0].input[1] = "computed"
    with pytest.raises(ExportError, match="has no form in opset 17"):
        to_opset_17(model, "analysis")
