"""Leaves in a graph what it computes and the axis names of its `GraphSpec`: no stack traces, no paths."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from farlook.export.lower import all_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import ModelProto, ValueInfoProto

    from farlook.export.spec import GraphSpec

# Version 9 is the newest that onnxruntime 1.17 loads. The exporter says 10 for the metadata that is removed
# here.
IR_VERSION = 9
_SYMBOL = re.compile(r"\bs\d+\b")


def tidy(model: ModelProto, spec: GraphSpec) -> None:
    """Clean `model` in place, so that the same weights give the same bytes on every machine."""
    graph = model.graph
    initializers = {tensor.name for tensor in graph.initializer}
    described = sorted((v for v in graph.value_info if v.name not in initializers), key=lambda v: v.name)
    del graph.value_info[:]
    graph.value_info.extend(described)
    _strip(model)
    _name_axes(model, spec)
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "farlook", ""
    graph.name = spec.name


def _strip(model: ModelProto) -> None:
    """Remove the notes of whoever wrote the model: on it, its graph, its values and its nodes."""
    graph = model.graph
    annotated = (model, graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for item in (*annotated, *all_nodes(graph)):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _name_axes(model: ModelProto, spec: GraphSpec) -> None:
    """Replace torch's symbols, as in "8*s30", by the names that `spec` has for them, as in "8*rows"."""
    names = _symbols(model.graph.input, spec)
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = _SYMBOL.sub(lambda match: names.get(match[0], match[0]), dim.dim_param)


def _symbols(inputs: Sequence[ValueInfoProto], spec: GraphSpec) -> Mapping[str, str]:
    """Return the name of each symbol, read off the axes of the inputs."""
    names = {}
    for value in inputs:
        for dim, axis in zip(value.type.tensor_type.shape.dim, spec.axes(value.name), strict=True):
            for symbol in _SYMBOL.findall(dim.dim_param):
                names[symbol] = str(axis.name)
    return names
