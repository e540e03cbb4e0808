"""Finds the node of an ONNX graph whose result first differs from torch's.

The exporter gives a value the name of the torch node that computes it, unless it optimised the value away. So
torch's nodes are run one by one, those that the graph still has are made its outputs, and the first bad one
is the culprit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import onnx
import torch
from torch.export.graph_signature import InputKind

from farlook.export.compare import compare
from farlook.export.graph import trace, translate
from farlook.export.session import ReferenceSession

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto
    from torch import Tensor
    from torch.export import ExportedProgram

    from farlook.export.spec import GraphSpec


def first_difference(
    spec: GraphSpec, model: ModelProto, inputs: tuple[Tensor, ...], output: str, tolerance: float
) -> str:
    """Say in which node of `model` the difference seen at `output` begins, in words.

    Where the difference shows in the output alone, that is the node which computes it.
    """
    want = torch_values(spec, inputs)
    feed = {name: tensor.numpy() for name, tensor in zip(spec.inputs, inputs, strict=True)}
    got = _values(model, feed, [name for name in _results(model) if name in want])
    agreeing: set[str] = set()
    for node in model.graph.node:
        for name in got.keys() & set(node.output):
            if want[name].shape != got[name].shape and name not in spec.outputs:
                continue  # the optimiser has given the name to something else
            if not compare(want[name], got[name], tolerance).within:
                return f"the difference first appears in {_title(node)}{_path(model, node, agreeing)}"
            agreeing.add(name)
    last = next(node for node in model.graph.node if output in node.output)
    return f"the difference appears only where onnxruntime fuses the nodes that lead to {_title(last)}"


def torch_values(spec: GraphSpec, inputs: tuple[Tensor, ...]) -> dict[str, NDArray[Any]]:
    """Return what each torch node computes from `inputs`, by the name of its value in the ONNX graph."""
    # The exporter decomposes what it is given, and names ONNX values after the result.
    program = cast("ExportedProgram", translate(spec, trace(spec), 18).exported_program)
    recorder = _Recorder(program.graph_module)
    with torch.no_grad():
        results = recorder.run(*_arguments(program, inputs))
    values = recorder.values | dict(zip(spec.outputs, results, strict=True))
    return {name: value.detach().numpy() for name, value in values.items() if value.dtype != torch.bfloat16}


class _Recorder(torch.fx.Interpreter):
    """Runs a graph and keeps every tensor in it."""

    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, Tensor] = {}

    def run_node(self, n: torch.fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.values[n.name] = result
        return result


def _arguments(program: ExportedProgram, inputs: tuple[Tensor, ...]) -> Iterator[Any]:
    """Yield the arguments of the program's graph: its weights and constants are among them."""
    given = iter(inputs)
    for argument in program.graph_signature.input_specs:
        if argument.kind is InputKind.USER_INPUT:
            yield next(given)
        else:
            target = str(argument.target)
            yield program.state_dict[target] if target in program.state_dict else program.constants[target]


def _results(model: ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        yield from filter(None, node.output)


def _values(model: ModelProto, feed: dict[str, NDArray[Any]], names: list[str]) -> dict[str, NDArray[Any]]:
    """Run `model` and return the values `names` inside it."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return ReferenceSession(opened).run(feed, names)


def _path(model: ModelProto, culprit: NodeProto, agreeing: Collection[str]) -> str:
    """Name the nodes between `culprit` and values known to agree, as the fault may be in any of them."""
    needed = set(culprit.input) - set(agreeing)
    between: list[NodeProto] = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            between.insert(0, node)
            needed.update(set(node.input) - set(agreeing))
    if not between:
        return ""
    return " or in a node before it that torch has no value for: " + ", ".join(map(_title, between))


def _title(node: NodeProto) -> str:
    return f"node {node.name!r} ({node.op_type})"
