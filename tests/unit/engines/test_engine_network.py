"""What a parsed network computes in, and what is refused before anything is built."""

from __future__ import annotations

import json

import pytest

from farlook.export.engine_network import TensorTypes, count_types, parse
from farlook.runtime.errors import ExportError


def model(*layers):
    keys = ("type", "out", "kind", "in")
    return json.dumps([dict(zip(keys, layer, strict=False)) for layer in layers]).encode()


HALF = model(("CONVOLUTION", "a", "HALF"), ("CAST", "b", "FLOAT"), ("SHAPE", "s", "INT64"))
QUANTISED = model(
    ("QUANTIZE", "q", "INT8"),
    ("DEQUANTIZE", "d", "HALF"),
    ("CONVOLUTION", "a", "HALF", "d"),
    ("MATRIX_MULTIPLY", "m", "HALF", "a"),
)


def types(library, graph):
    network, _parser = parse(library, library.module.Builder(library.logger), graph, "analysis")
    return count_types(network)


def test_tensors_and_work_are_counted(library):
    assert types(library, HALF) == TensorTypes({"fp16": 1, "fp32": 1}, {"fp16": 1})
    assert types(library, QUANTISED) == TensorTypes({"int8": 1, "fp16": 3}, {"int8": 1, "fp16": 1})


@pytest.mark.parametrize(
    ("precision", "tensors", "compute"),
    [
        ("fp32", {"fp32": 5}, {"fp32": 3}),
        ("fp32", {"fp32": 5}, {}),
        ("fp16", {"fp16": 5, "fp32": 2}, {"fp16": 3, "fp32": 1}),
        ("int8", {"int8": 5, "fp16": 7, "fp32": 2}, {"int8": 3, "fp16": 4}),
    ],
)
def test_what_was_asked_for_passes(precision, tensors, compute):
    TensorTypes(tensors, compute).check(precision, "analysis")


@pytest.mark.parametrize(
    ("precision", "tensors", "compute"),
    [
        ("fp32", {"fp32": 5, "fp16": 1}, {"fp32": 3}),
        ("fp32", {"fp32": 5, "int8": 1}, {"fp32": 3}),
        ("fp16", {"fp32": 5}, {"fp32": 3}),
        ("fp16", {"fp32": 5, "fp16": 1}, {"fp32": 3, "fp16": 3}),
        ("fp16", {"fp16": 5}, {}),
        ("fp16", {"fp16": 5, "int8": 2}, {"fp16": 3}),
        ("int8", {"fp32": 5}, {"fp32": 3}),
        ("int8", {"fp16": 5}, {"fp16": 3}),
        ("int8", {"fp16": 5, "int8": 4}, {"fp16": 3}),
    ],
)
def test_another_precision_than_asked_for_is_refused(precision, tensors, compute):
    with pytest.raises(ExportError, match=f"the analysis graph was to be {precision}, but TensorRT reads"):
        TensorTypes(tensors, compute).check(precision, "analysis")


def test_an_operator_that_tensorrt_lacks_is_named_with_its_node(library):
    graph = model(("CONVOLUTION", "a", "FLOAT"), ("UNKNOWN", "/head/foo", "FLOAT"))
    with pytest.raises(
        ExportError, match=r"cannot read the analysis graph: node /head/foo \(Foo\): no such operator"
    ):
        types(library, graph)


def test_a_damaged_graph_is_an_error(library):
    with pytest.raises(ExportError, match="cannot read the analysis graph: cannot parse the model"):
        types(library, b"not a graph")
