"""FP16 on a processor without it: every tensor is rounded as it is stored, and products are added up in FP32.

onnxruntime has no FP16 convolution for CPUs: it puts casts around one, and then takes out the pairs of casts
between two. So an FP16 graph runs there in FP32, and neither overflows nor rounds as an engine does. Here the
roundings are written out, which is what tensor cores do that add up in FP32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.calibration.graphs import MOVING, element_types
from farlook.calibration.onnx_package import TensorProto, helper, numpy_helper, onnx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import NodeProto


def emulate(data: bytes) -> bytes:
    """Rewrite a graph so that it computes in FP32, and rounds to FP16 whatever it stored as that.

    A graph without FP16 is returned as it is.

    Raises:
        BundleError: The type of a tensor cannot be told.
    """
    model = onnx.load_from_string(data)
    types = element_types(model)
    if TensorProto.FLOAT16 not in types.values():
        return data
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        nodes += _rounded(node, types)
    del model.graph.node[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def _rounded(node: NodeProto, types: Mapping[str, int]) -> list[NodeProto]:
    """A node that computes in FP32, and after it the roundings of what it made in FP16."""
    if node.op_type == "Cast":
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    nodes = [node]
    # An engine multiplies integers and scales what they add up to: dequantised numbers are not stored.
    if node.op_type in MOVING or node.op_type == "DequantizeLinear":
        return nodes
    for index, name in enumerate(node.output):
        if types.get(name) == TensorProto.FLOAT16:
            node.output[index], half = f"{name}_exact", f"{name}_rounded"
            nodes.append(_cast(f"{name}_exact", half, TensorProto.FLOAT16))
            nodes.append(_cast(half, name, TensorProto.FLOAT))
    return nodes


def _cast(source: str, target: str, kind: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}_emulated", to=kind)
