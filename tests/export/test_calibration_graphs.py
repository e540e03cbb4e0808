"""FP16 and INT8 rewritings of small graphs."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from farlook.calibration.emulate import emulate
from farlook.calibration.fp16 import to_fp16
from farlook.calibration.graphs import check, count_types, element_types, read_graph
from farlook.calibration.groups import find_groups
from farlook.calibration.qdq import SMALLEST_SCALE, insert_qdq, quantise_weight, scale_of, scales
from farlook.calibration.record import measure
from farlook.runtime.errors import BundleError, CalibrationError

SHAPE = ["n", 4, "8*r", "8*c"]


def build(nodes, constants, opset=18, outputs=("y",)):
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, name, **attributes) for op, ins, outs, name, attributes in nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def network(opset=18, gain=1.0):
    """x - 0.5 -> conv -> relu -> conv, + relu's output -> matmul from both sides -> * 2; one weight is computed."""
    rng = np.random.default_rng(0)
    constants = {
        "half": np.float32(0.5),
        "w1": rng.normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32),
        "w1_gain": np.float32(gain),
        "b1": rng.normal(0, 0.1, 4).astype(np.float32),
        "w2": np.concatenate([rng.normal(0, 0.3, (3, 4, 1, 1)), np.zeros((1, 4, 1, 1))], axis=0).astype(
            np.float32
        ),
        "right": np.eye(8, dtype=np.float32),
        "left": rng.normal(0, 0.3, (8, 8)).astype(np.float32),
        "cells": np.array([0, 4, -1, 8, 8], np.int64),
        "double": np.float32(2),
    }
    nodes = [
        ("Sub", ["x", "half"], ["centred"], "sub", {}),
        ("Mul", ["w1", "w1_gain"], ["w1_scaled"], "scale_w1", {}),
        ("Conv", ["centred", "w1_scaled", "b1"], ["a"], "conv1", {"pads": [1, 1, 1, 1]}),
        ("Relu", ["a"], ["b"], "relu", {}),
        ("Conv", ["b", "w2"], ["c"], "conv2", {}),
        ("Add", ["c", "b"], ["d"], "add", {}),
        ("Reshape", ["d", "cells"], ["e"], "cut", {}),
        ("MatMul", ["e", "right"], ["f"], "times_right", {}),
        ("MatMul", ["left", "f"], ["g"], "left_times", {}),
        ("Mul", ["g", "double"], ["y"], "mul", {}),
    ]
    return build(nodes, constants, opset)


def picture(side=16):
    return np.random.default_rng(1).random((1, 4, side, side), dtype=np.float32)


def run(data, x=None):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": picture() if x is None else x})[0]


def measured(data):
    model = read_graph(data, "test")
    groups = find_groups(model)
    nodes = {node.name: node for node in model.graph.node}
    tensors = {nodes[g.name].input[i] for g in groups for i in g.activations}
    session = measure(model, tensors, [{"x": picture()}], "test", 1)
    return model, groups, session


def test_constants_are_folded_and_the_opset_is_raised():
    model = read_graph(network(), "test")
    assert "scale_w1" not in {node.name for node in model.graph.node}
    assert model.opset_import[0].version == 19
    np.testing.assert_allclose(run(model.SerializeToString()), run(network()), rtol=1e-6)


def test_unnamed_nodes_get_names_of_their_own():
    model = onnx.load_from_string(network())
    for node in model.graph.node:
        node.name = ""
    names = [node.name for node in read_graph(model.SerializeToString(), "test").graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("opset", [17, 18])
def test_fp16_keeps_inputs_and_outputs_and_its_edges(opset):
    made = to_fp16(read_graph(network(opset), "test"))
    data = check(made.model, "test")
    assert made.kept == {"sub": "edge", "mul": "edge"}
    assert {v.type.tensor_type.elem_type for v in (*made.model.graph.input, *made.model.graph.output)} == {
        TensorProto.FLOAT
    }
    types = element_types(made.model)
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        assert types[name] == TensorProto.FLOAT16
    assert count_types(data)["float16"] == 8  # those seven, and the cast of the centred input
    np.testing.assert_allclose(run(emulate(data)), run(network(opset)), atol=0.02)


def test_constants_beyond_fp16_stay_as_they_are():
    made = to_fp16(read_graph(network(gain=1e6), "test"))
    assert made.kept["conv1"] == "range"
    assert "conv2" not in made.kept
    assert all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in made.model.graph.initializer)


def test_measured_ranges_near_the_limit_stay_in_fp32():
    made = to_fp16(read_graph(network(), "test"), ranges={"c": 60000.0}, keep=["relu"])
    assert made.kept["conv2"] == made.kept["add"] == "range"
    assert made.kept["relu"] == "asked"
    np.testing.assert_allclose(run(check(made.model, "test")), run(network()), atol=0.02)


def test_moving_a_large_tensor_keeps_it_in_fp32():
    shape = np.array([0, 4, -1, 8], np.int64)
    nodes = [
        ("Conv", ["x", "up"], ["a"], "up_conv", {}),
        ("Reshape", ["a", "shape"], ["b"], "reshape", {}),
        ("Transpose", ["b"], ["c"], "transpose", {"perm": [0, 1, 3, 2]}),
        ("Transpose", ["c"], ["d"], "back", {"perm": [0, 1, 3, 2]}),
        ("Conv", ["d", "down"], ["y"], "down_conv", {}),
    ]
    up = np.full((4, 4, 1, 1), 30000, np.float32)
    data = build(nodes, {"up": up, "down": np.full((4, 4, 1, 1), 1e-4, np.float32), "shape": shape})
    ones = np.ones((1, 4, 8, 8), np.float32)
    for ranges in ({"a": 120000.0}, {"d": 120000.0}):  # seen where it is made, or where it is read
        made = to_fp16(read_graph(data, "test"), ranges=ranges)
        assert {made.kept[name] for name in ("up_conv", "reshape", "transpose", "back")} == {"range"}
        np.testing.assert_allclose(run(emulate(check(made.model, "test")), ones), run(data, ones), rtol=1e-3)


def between(nodes, constants, **kwargs):
    """A graph with nodes between two convolutions, so that they are no edges; they make "z" of "a"."""
    weights = {name: np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1) for name in ("first", "last")}
    first, last = ("Conv", ["x", "first"], ["a"], "first", {}), ("Conv", ["z", "last"], ["y"], "last", {})
    return build([first, *nodes, last], weights | constants, **kwargs)


def test_what_keeps_a_divisor_from_zero_does_not_become_zero():
    nodes = [
        ("Add", ["a", "least"], ["b"], "add", {}),
        ("Div", ["a", "b"], ["z"], "div", {}),
    ]
    data = between(nodes, {"least": np.float32(1e-9)})
    made = to_fp16(read_graph(data, "test"))
    assert made.kept == {"add": "range", "div": "precision"}
    zeros = np.zeros((1, 4, 8, 8), np.float32)
    assert not run(emulate(check(made.model, "test")), zeros).any()


def test_small_numbers_among_larger_ones_and_small_biases_are_stored_in_fp16():
    bias = np.array([0.5, -0.25, 1e-9, 3], np.float32).reshape(1, 4, 1, 1)
    nodes = [
        ("Add", ["a", "bias"], ["b"], "add", {}),
        ("Conv", ["b", "first", "small"], ["z"], "middle", {}),
    ]
    data = between(nodes, {"bias": bias, "small": np.full(4, 1e-9, np.float32)})
    assert to_fp16(read_graph(data, "test")).kept == {}
    divided = between([("Div", ["a", "bias"], ["z"], "div", {})], {"bias": bias})
    assert to_fp16(read_graph(divided, "test")).kept == {"div": "range"}


def test_tensors_below_the_normal_numbers_stay_in_fp32():
    data = between([("Relu", ["a"], ["z"], "relu", {})], {})
    assert to_fp16(read_graph(data, "test"), ranges={"z": 1e-6}).kept == {"relu": "range", "last": "range"}
    assert to_fp16(read_graph(data, "test"), ranges={"z": 0.0}).kept == {}


def test_counting_in_floats_stays_exact():
    """Half of a side, computed as exporters do: in floats, and back."""
    nodes = [
        ("Shape", ["a"], ["shape"], "shape", {}),
        ("Cast", ["shape"], ["sides"], "to_float", {"to": TensorProto.FLOAT}),
        ("Mul", ["sides", "ones"], ["same"], "times", {}),
        ("Cast", ["same"], ["target"], "to_int", {"to": TensorProto.INT64}),
        ("Expand", ["a", "target"], ["z"], "expand", {}),
    ]
    data = between(nodes, {"ones": np.ones(4, np.float32)})
    made = to_fp16(read_graph(data, "test"))
    assert {name: made.kept[name] for name in ("to_float", "times", "to_int")} == dict.fromkeys(
        ("to_float", "times", "to_int"), "precision"
    )
    wide = np.ones((1, 4, 1, 4097), np.float32)  # FP16 has 4096 and 4100
    assert run(emulate(check(made.model, "test")), wide).shape == wide.shape


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([("Shape", ["a"], ["s"], "s", {}), ("ConstantOfShape", ["s"], ["m"], "m", {})], {}),
        ([("RandomNormalLike", ["a"], ["m"], "m", {"dtype": TensorProto.FLOAT})], {}),
        (
            [
                ("ReduceMax", ["a"], ["top"], "top", {"keepdims": 0}),
                ("Range", ["zero", "one", "top"], ["r"], "r", {}),
                ("ReduceMax", ["r"], ["m"], "m", {"keepdims": 0}),
            ],
            {"zero": np.float32(0), "one": np.float32(1)},
        ),
    ],
    ids=["filled", "random", "range"],
)
def test_operators_that_give_fp32_alone_keep_the_graph_valid(nodes, constants):
    data = between([*nodes, ("Add", ["a", "m"], ["z"], "add", {})], constants)
    made = to_fp16(read_graph(data, "test"))
    assert "add" not in made.kept
    half = check(made.model, "test")
    assert np.isfinite(run(half)).all()


def test_emulation_overflows_where_onnxruntime_does_not():
    nodes = [
        ("Conv", ["x", "up"], ["a"], "up_conv", {}),
        ("Relu", ["a"], ["b"], "relu", {}),
        ("Conv", ["b", "down"], ["y"], "down_conv", {}),
    ]
    up = np.full((4, 4, 1, 1), 30000, np.float32)
    data = build(nodes, {"up": up, "down": np.full((4, 4, 1, 1), 1e-4, np.float32)})
    half = check(to_fp16(read_graph(data, "test")).model, "test")
    ones = np.ones((1, 4, 8, 8), np.float32)
    assert np.isfinite(run(half, ones)).all()
    assert np.isinf(run(emulate(half), ones)).all()


def test_groups_are_weighted_nodes_and_inner_sums():
    groups = {group.name: group for group in find_groups(read_graph(network(), "test"))}
    assert list(groups) == ["conv1", "conv2", "add", "times_right", "left_times"]
    assert groups["add"].activations == (1,)  # the other input comes straight from a convolution
    assert (groups["conv1"].weight, groups["conv1"].axis) == (1, 0)
    assert (groups["times_right"].weight, groups["times_right"].axis) == (1, 1)
    assert (groups["left_times"].weight, groups["left_times"].axis) == (0, 0)


@pytest.mark.parametrize("rest", ["fp32", "fp16"])
def test_int8_graphs_have_explicit_symmetric_quantisers(rest):
    model, groups, session = measured(network())
    thresholds = {name: histogram.threshold("absmax") for name, histogram in session.histograms.items()}
    made = insert_qdq(model, groups, thresholds)
    if rest == "fp16":
        made = to_fp16(made, ranges=session.magnitudes()).model
    data = check(made, "test")
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    makers = {name: node for node in made.graph.node for name in node.output}
    for node in made.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert np.all(known[node.input[1]] > 0)
            assert known[node.input[2]].dtype == np.int8
            assert not known[node.input[2]].any()
        if node.op_type in ("Conv", "MatMul"):
            assert all(makers[name].op_type == "DequantizeLinear" for name in node.input[:2])
    assert {len(value.shape) for value in scales(made).values()} == {0, 1}
    assert scales(made)["w2_axis0_DQ"].shape == (4,)
    np.testing.assert_allclose(run(emulate(data)), run(network()), atol=0.1)
    types = element_types(made)
    wanted = TensorProto.FLOAT16 if rest == "fp16" else TensorProto.FLOAT
    assert all(types[node.output[0]] == wanted for node in made.graph.node if node.op_type == "Conv")


def test_a_quantiser_and_its_neighbours_are_not_parted_by_casts():
    model, groups, session = measured(network())
    thresholds = {name: histogram.threshold("absmax") for name, histogram in session.histograms.items()}
    made = to_fp16(insert_qdq(model, groups, thresholds)).model
    makers = {name: node.op_type for node in made.graph.node for name in node.output}
    for node in made.graph.node:
        if node.op_type == "QuantizeLinear":
            assert makers.get(node.input[0]) != "Cast"
        if node.op_type == "Cast":
            assert makers.get(node.input[0]) != "DequantizeLinear"


def test_new_tensors_do_not_take_the_names_of_others():
    taken = ("a_scale", "a_half", "a_q", "farlook_zero", "first_axis0_scale")
    nodes = [("Mul", ["a", "a_scale"], ["m0"], "mul0", {})]
    nodes += [("Mul", [f"m{i}", name], [f"m{i + 1}"], f"mul{i + 1}", {}) for i, name in enumerate(taken[1:])]
    nodes += [("Conv", ["a", "first"], ["b"], "again", {}), ("Add", ["b", "m4"], ["z"], "add", {})]
    data = between(nodes, {name: np.float32(3 + i) for i, name in enumerate(taken)})
    model, groups, session = measured(data)
    quantised = insert_qdq(model, groups, session.magnitudes())
    for made in (quantised, to_fp16(model).model, to_fp16(quantised).model):
        np.testing.assert_allclose(run(check(made, "test")), run(data), rtol=0.03, atol=30)
    assert np.abs(run(data)).max() > 1000


def test_kept_groups_are_left_alone():
    model, groups, session = measured(network())
    thresholds = {name: histogram.threshold("absmax") for name, histogram in session.histograms.items()}
    made = insert_qdq(model, [group for group in groups if group.name != "conv1"], thresholds)
    conv = next(node for node in made.graph.node if node.name == "conv1")
    assert list(conv.input) == ["centred", "w1_scaled", "b1"]


def test_weights_of_nothing_but_zeros_stay_zero():
    integers, found = quantise_weight(np.zeros((3, 2, 1, 1), np.float32), 0, "w")
    assert not integers.any()
    assert np.all(found == np.float32(SMALLEST_SCALE))


def test_each_channel_uses_its_own_range():
    weight = np.array([[1.0, -0.5], [100.0, 25.0]], np.float32)
    integers, found = quantise_weight(weight, 0, "w")
    assert np.abs(integers).max(axis=1).tolist() == [127, 127]
    np.testing.assert_allclose(integers * found[:, None], weight, atol=0.5)


@pytest.mark.parametrize("largest", [1e-9, 0.3, 1.0, 127.0, 5e4, 3e6])
def test_scales_are_numbers_of_fp16_and_clip_nothing(largest):
    found = scale_of(largest)
    assert float(found.astype(np.float16)) == float(found)
    assert 127 * float(found) >= largest


@pytest.mark.parametrize("largest", [1e8, np.inf])
def test_scales_too_large_for_fp16_are_refused(largest):
    with pytest.raises(CalibrationError, match="too far"):
        scale_of(largest, "the tensor 'x'")


def test_unmeasured_tensors_are_named():
    model, groups, _ = measured(network())
    with pytest.raises(CalibrationError, match="'centred'"):
        insert_qdq(model, groups, {})


def test_recording_sees_every_computed_tensor_and_changes_no_result():
    _, _, session = measured(network())
    np.testing.assert_array_equal(session.run({"x": picture()})["y"], run(network()))
    magnitudes = session.magnitudes()
    assert {"centred", "a", "b", "c", "d", "f", "g", "y"} <= set(magnitudes)
    assert magnitudes["y"] == pytest.approx(np.abs(run(network())).max())
    assert session.runs == 2


def test_what_is_not_finite_is_named():
    broken = picture()
    broken[0, 0, 0, 0] = np.nan
    model, groups, _ = measured(network())
    with pytest.raises(CalibrationError, match="cannot be calibrated"):
        measure(model, ["b"], [{"x": broken}], "test", 1)
    with pytest.raises(CalibrationError, match="nothing to measure"):
        measure(model, ["b"], [], "test", 1)
    assert groups


def test_damaged_and_foreign_graphs_are_refused():
    with pytest.raises(BundleError, match="test: the graph is damaged"):
        read_graph(b"no model", "test")
    foreign = onnx.load_from_string(network())
    foreign.graph.node[0].domain = "custom"
    foreign.opset_import.append(helper.make_opsetid("custom", 1))
    with pytest.raises(BundleError, match=r"'sub' is custom\.Sub"):
        read_graph(foreign.SerializeToString(), "test")
