"""FP16 graphs: every tensor but those whose range or precision demands FP32 is stored in 16 bits.

    input (FP32) -> arithmetic before the first weight (FP32) -> Cast -> network (FP16) -> Cast
          -> arithmetic after the last weight (FP32) -> output (FP32)

Inputs and outputs keep their types. A node stays in FP32 if one of its constants or, where ranges were measured,
of its tensors comes near what FP16 holds; nothing is clamped. `docs/decisions/012-own-fp16-pass.md` has the reasons.

Engines are built of what the pass makes: a change of its output takes the next `farlook.runtime.engines.FP16_PASS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.graphs import (
    MOVING,
    Names,
    constants,
    consumers,
    element_types,
    fold_constants,
    producers,
    weighted_nodes,
)
from farlook.calibration.onnx_package import TensorProto, defs, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

LARGEST = 65504.0
"""What FP16 holds."""
SMALLEST = 2.0**-14
"""Below it FP16 has fewer digits, and below 2**-25 only zero."""
MARGIN = 8.0
"""A tensor whose measured range is above `LARGEST` by this divisor stays in FP32: other pictures reach further."""

_SQUARING = frozenset(
    {
        "Exp",
        "GlobalAveragePool",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "Log",
        "LogSoftmax",
        "LpNormalization",
        "MeanVarianceNormalization",
        "Pow",
        "Reciprocal",
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSum",
        "ReduceLogSumExp",
        "ReduceMean",
        "ReduceProd",
        "ReduceSum",
        "ReduceSumSquare",
        "Softmax",
        "Softplus",
        "Sqrt",
    }
)
"""Operators that leave FP16's range, or lose what they add up, within a few of them: FP32 unless told otherwise."""
_QDQ = frozenset({"QuantizeLinear", "DequantizeLinear"})
# Inputs that are float32 whatever the type of the data.
_FLOAT_INPUTS: Mapping[str, frozenset[int]] = {"Resize": frozenset({1, 2})}
_INTEGERS = frozenset(
    {
        TensorProto.INT8,
        TensorProto.INT16,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.UINT8,
        TensorProto.UINT16,
        TensorProto.UINT32,
        TensorProto.UINT64,
    }
)
# The type of what they make is an attribute, or a value in one.
_MAKERS = frozenset(
    {
        "Bernoulli",
        "ConstantOfShape",
        "EyeLike",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)


@dataclass(frozen=True)
class Fp16Graph:
    """A converted graph.

    Attributes:
        model: The model.
        kept: Nodes that stay in FP32 although they compute with floats, and why: "edge", "range", "precision",
            "asked".
    """

    model: ModelProto
    kept: dict[str, str]


def to_fp16(
    model: ModelProto,
    *,
    ranges: Mapping[str, float] | None = None,
    keep: Collection[str] = (),
    edges: bool = True,
) -> Fp16Graph:
    """Convert a graph of FP32; `model` is left as it is.

    Args:
        model: As `farlook.calibration.graphs.read_graph` gives it, or with Q/DQ nodes in it.
        ranges: The largest magnitude seen of tensors, by name.
        keep: Names of nodes to leave in FP32.
        edges: Whether arithmetic before the first and after the last weighted node stays in FP32.

    Raises:
        BundleError: The type of a tensor cannot be told.
    """
    made = type(model)()
    made.CopyFrom(model)
    fold_constants(made)
    types = element_types(made)
    kept = _kept(made, types, ranges or {}, set(keep), edges)
    _Converter(made.graph, types, kept).run()
    del made.graph.value_info[:]
    return Fp16Graph(made, kept)


def _kept(
    model: ModelProto, types: Mapping[str, int], ranges: Mapping[str, float], keep: set[str], edges: bool
) -> dict[str, str]:
    """Which nodes of floats stay in FP32, and why."""
    graph = model.graph
    version = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    outer = _edges(graph) if edges else set()
    known = constants(graph)
    outside = _outside(graph, known, ranges)
    exact = _counting(graph, types)
    kept = {}
    for node in graph.node:
        tensors = [name for name in (*node.input, *node.output) if types.get(name) == TensorProto.FLOAT]
        if not tensors:
            continue
        if node.op_type in _QDQ:
            continue  # settled by their neighbours, below
        if node.name in keep:
            kept[node.name] = "asked"
        elif outside.intersection(tensors) or _loses_constants(node, known):
            kept[node.name] = "range"
        elif _needs_precision(node, known) or node.name in exact or not _has_half(node, types, version):
            kept[node.name] = "precision"
        elif node.name in outer:
            kept[node.name] = "edge"
    return kept | _quantisers(graph, kept)


def _outside(graph: GraphProto, known: Mapping[str, NDArray[Any]], ranges: Mapping[str, float]) -> set[str]:
    """Tensors that FP16 does not hold, and those that hold the same values before and after they are moved."""
    found = {name for name, array in known.items() if _too_large(array)}
    found |= {
        name
        for name, largest in ranges.items()
        if not (SMALLEST <= largest <= LARGEST / MARGIN or largest == 0)
    }
    moving = [node for node in graph.node if node.op_type in MOVING]
    for node in moving:  # ranges are measured where values are computed, not where they are moved
        if found.intersection(node.input):
            found.update(node.output)
    for node in reversed(moving):
        if found.intersection(node.output):
            found.update(name for name in node.input if name and name not in known)
    return found


def _loses_constants(node: NodeProto, known: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a constant of a node is so small that FP16 has few digits of it, or none.

    A few small numbers among larger ones do not matter, except in divisors, nor do small biases. But what is added
    to keep a divisor from 0 must not become 0.
    """
    biased = node.op_type in ("Conv", "ConvTranspose", "Gemm")
    for index, name in enumerate(node.input):
        array = known.get(name)
        if array is None or array.dtype != np.float32 or not array.any() or (biased and index == 2):
            continue
        sizes = np.abs(array[array != 0])
        divisor = node.op_type == "Div" and index == 1
        if float(sizes.min() if divisor else sizes.max()) < SMALLEST:
            return True
    return False


def _needs_precision(node: NodeProto, known: Mapping[str, NDArray[Any]]) -> bool:
    """Whether FP16 would lose what a node computes: sums, squares, and quotients whose divisor may come near 0."""
    divides = node.op_type == "Div" and node.input[1] not in known
    return node.op_type in _SQUARING or divides


def _counting(graph: GraphProto, types: Mapping[str, int]) -> set[str]:
    """Arithmetic on shapes and indices, done in floats: above 2048, FP16 does not have every integer."""
    weighted = {node.name for node, _ in weighted_nodes(graph)}
    known = {tensor.name for tensor in graph.initializer}
    made, found = set[str](), set[str]()
    for node in graph.node:
        floats = [n for n in node.input if types.get(n) == TensorProto.FLOAT and n not in known]
        if node.name in weighted or types.get(node.output[0]) != TensorProto.FLOAT:
            continue
        of_integers = node.op_type == "Cast" and types.get(node.input[0]) in _INTEGERS
        if of_integers or (floats and made.issuperset(floats)):
            made.update(node.output)
            found.add(node.name)
    ends = {node.name for node in graph.node if node.op_type == "Cast" and made.intersection(node.input)}
    return found | ends


def _has_half(node: NodeProto, types: Mapping[str, int], version: int) -> bool:
    """Whether ONNX has an operator for FP16, and the type of its outputs follows from its inputs'."""
    if node.op_type in _MAKERS:
        return False
    schema = defs.get_schema(node.op_type, version)
    allowed = {each.type_param_str: each.allowed_type_strs for each in schema.type_constraints}
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for index, name in enumerate(names):
            kind = formal[min(index, len(formal) - 1)].type_str
            fixed = index in _FLOAT_INPUTS.get(node.op_type, ())
            if (
                types.get(name) == TensorProto.FLOAT
                and not fixed
                and "tensor(float16)" not in allowed.get(kind, ())
            ):
                return False
    return True


def _quantisers(graph: GraphProto, kept: Mapping[str, str]) -> dict[str, str]:
    """Q nodes take what comes, and DQ nodes give what is wanted: no cast may part them from their neighbours."""
    made_by, read_by = producers(graph), consumers(graph)
    found = {}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            source = made_by.get(node.input[0])
            if source is None or source.name in kept:
                found[node.name] = "input"
        elif node.op_type == "DequantizeLinear":
            readers = [each.name in kept for each in read_by.get(node.output[0], ())]
            if readers and all(readers):
                found[node.name] = "output"
    return found


def _too_large(array: NDArray[Any]) -> bool:
    if array.dtype != np.float32 or not array.size:
        return False
    return not float(np.abs(array).max()) <= LARGEST


def _edges(graph: GraphProto) -> set[str]:
    """Arithmetic that sees no weighted node's output, and what no weighted node sees."""
    weighted = {node.name for node, _ in weighted_nodes(graph)}
    weighted |= {node.name for node in graph.node if node.op_type in ("Conv", "MatMul", "Gemm")}
    made_by, read_by = producers(graph), consumers(graph)
    after: set[str] = set()
    outer: set[str] = set()
    for node in graph.node:
        sources = [made_by[name].name for name in node.input if name in made_by]
        if node.name in weighted or after.intersection(sources):
            after.add(node.name)
        elif node.op_type not in MOVING and node.op_type not in _QDQ:
            outer.add(node.name)
    before: set[str] = set()
    for node in reversed(graph.node):
        readers = [each.name for name in node.output for each in read_by.get(name, ())]
        if node.name in weighted or before.intersection(readers):
            before.add(node.name)
        else:
            outer.add(node.name)
    return outer


class _Converter:
    """Rewrites one graph in place."""

    def __init__(self, graph: GraphProto, types: Mapping[str, int], kept: Mapping[str, str]) -> None:
        self._graph = graph
        self._kept = kept
        self._types = types
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._names = Names(graph)
        self._half = set[str]()  # tensors that nodes now make in FP16
        self._casts: dict[tuple[str, int], str] = {}
        self._nodes: list[NodeProto] = []
        self._outputs = {output.name for output in graph.output}

    def run(self) -> None:
        """Convert all nodes, and put casts where types change."""
        for node in self._graph.node:
            floats = [n for n in (*node.input, *node.output) if self._types.get(n) == TensorProto.FLOAT]
            if not floats:
                self._nodes.append(node)
            elif node.name in self._kept:
                self._connect(node, TensorProto.FLOAT)
                self._nodes.append(node)
            else:
                self._convert(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        self._drop_unused()

    def _convert(self, node: NodeProto) -> None:
        self._connect(node, TensorProto.FLOAT16)
        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                    attribute.i = TensorProto.FLOAT16
        made = []
        for index, name in enumerate(node.output):
            if self._types.get(name) != TensorProto.FLOAT:
                continue
            if name in self._outputs:
                half = self._names.fresh(f"{name}_half")
                node.output[index] = self._casts[name, TensorProto.FLOAT16] = half
                made.append(self._cast_node(half, name, TensorProto.FLOAT))
            else:
                self._half.add(name)
        self._nodes += [node, *made]

    def _connect(self, node: NodeProto, wanted: int) -> None:
        """Give a node inputs of the type it computes in."""
        fixed = _FLOAT_INPUTS.get(node.op_type, frozenset())
        for index, name in enumerate(node.input):
            if self._types.get(name) == TensorProto.FLOAT:
                node.input[index] = self._as(name, TensorProto.FLOAT if index in fixed else wanted)

    def _as(self, name: str, wanted: int) -> str:
        """A tensor in one of the two types."""
        if (name in self._half) == (wanted == TensorProto.FLOAT16):
            return name
        if (name, wanted) not in self._casts:
            suffix = "half" if wanted == TensorProto.FLOAT16 else "single"
            cast = self._names.fresh(f"{name}_{suffix}")
            self._casts[name, wanted] = cast
            if name in self._constants:
                values = numpy_helper.to_array(self._constants[name]).astype(np.float16)
                self._graph.initializer.append(numpy_helper.from_array(values, cast))
            else:
                self._nodes.append(self._cast_node(name, cast, wanted))
        return self._casts[name, wanted]

    def _cast_node(self, source: str, target: str, wanted: int) -> NodeProto:
        return helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=wanted)

    def _drop_unused(self) -> None:
        used = {name for node in self._graph.node for name in node.input} | self._outputs
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
