"""ONNX model to TensorRT network, and what types its tensors have: the check that needs no GPU."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farlook.runtime.backends.tensorrt.library import Library

_COMPUTE = ("CONVOLUTION", "DECONVOLUTION", "MATRIX_MULTIPLY")
"""Layers that do the work; what precision they have is what an engine's speed comes from."""

_TYPES = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8"}
_QUANTISED = "DEQUANTIZE"
_MOSTLY = 0.5


@dataclass(frozen=True)
class TensorTypes:
    """What a parsed network computes in.

    Attributes:
        tensors: How many tensors there are of each type of numbers, as in {"fp32": 15, "fp16": 109}. Shapes,
            which are computed in integers of 64 bits, are left out.
        compute: How many convolutions and matrix products there are of each precision; "int8" where what goes
            in is dequantised.
    """

    tensors: dict[str, int]
    compute: dict[str, int]

    def check(self, precision: str, label: str) -> None:
        """Refuse a network that is not of the precision that was asked for.

        An FP32 network has nothing else in it. An FP16 one may keep FP32 where range demands it, and an INT8
        one may keep others where accuracy does: but most convolutions of the first, and at least one of the
        second, must be of that precision.

        Raises:
            ExportError: It is not.
        """
        total = sum(self.compute.values())
        found = self.compute.get(precision, 0)
        if precision == "fp32":
            right = set(self.tensors) <= {"fp32"}
        elif precision == "fp16":
            right = total > 0 and found / total > _MOSTLY and "int8" not in self.tensors
        else:
            right = found > 0 and "int8" in self.tensors
        if not right:
            raise ExportError(
                f"the {label} graph was to be {precision}, but TensorRT reads {self}: the engine would be "
                "slower than it claims to be, or other than what was verified"
            )

    def __str__(self) -> str:
        """For errors and tables."""
        tensors = ", ".join(f"{count} {kind}" for kind, count in sorted(self.tensors.items()))
        compute = ", ".join(f"{count} {kind}" for kind, count in sorted(self.compute.items()))
        return f"tensors: {tensors or 'none'}; convolutions and products: {compute or 'none'}"


def parse(library: Library, builder: Any, graph: bytes, label: str) -> tuple[Any, Any]:
    """Read an ONNX model.

    Args:
        library: TensorRT.
        builder: Its builder.
        graph: The serialized model.
        label: What to call it in errors, as in "analysis".

    Returns:
        The network, and the parser, which must outlive it: the network's weights lie in it.

    Raises:
        ExportError: The model is damaged, or has something that TensorRT does not; the node is named.
    """
    library.problem("")
    network = builder.create_network(library.network_flags())
    parser = library.module.OnnxParser(network, library.logger)
    if not parser.parse(graph):
        errors = [_error(parser.get_error(index)) for index in range(parser.num_errors)]
        logged = library.problem("it gives no reason")
        raise ExportError(
            f"{library.name} {library.version} cannot read the {label} graph: {'; '.join(errors) or logged}"
        )
    return network, parser


def count_types(network: Any) -> TensorTypes:
    """Look at every tensor that a layer of the network makes."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    dequantised = {
        tensor.name for layer in layers if _kind(layer) == _QUANTISED for tensor in _outputs(layer)
    }
    tensors: Counter[str] = Counter()
    compute: Counter[str] = Counter()
    for layer in layers:
        types = [_TYPES[tensor.dtype.name] for tensor in _outputs(layer) if tensor.dtype.name in _TYPES]
        # Constants of quantised weights, and shapes computed in FP32, would say nothing of the work.
        tensors.update(types)
        if _kind(layer) in _COMPUTE and types:
            fed = layer.get_input(0)
            compute["int8" if fed.name in dequantised else types[0]] += 1
    return TensorTypes(dict(tensors), dict(compute))


def _outputs(layer: Any) -> Iterator[Any]:
    return (layer.get_output(index) for index in range(layer.num_outputs))


def _kind(layer: Any) -> str:
    return str(layer.type.name)


def _error(error: Any) -> str:
    """A parser's error with its node."""
    operator, name = error.node_operator(), error.node_name()
    where = f"node {name or error.node()} ({operator}): " if operator else ""
    return f"{where}{error.desc()}"
