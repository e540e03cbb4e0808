"""Proves that an exported graph computes what its module does, at sizes it was not traced with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import MismatchError, MissingExtraError, UsageError

try:
    import torch

    from farlook.export.compare import compare
    from farlook.export.locate import first_difference
    from farlook.export.session import ReferenceSession
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to verify exported graphs") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from onnx import ModelProto
    from torch import Tensor

    from farlook.export.spec import GraphSpec

Size = tuple[int, int, int]

SIZES: tuple[Size, ...] = ((1, 64, 64), (2, 96, 160), (3, 37, 53))
"""Pictures, as (batch, height, width): one alone, several, and one that has to be padded."""


@dataclass(frozen=True)
class Verification:
    """What `verify_graph` saw.

    Attributes:
        name: The graph's name.
        differences: The largest absolute difference over all outputs, for each (batch, height, width).
    """

    name: str
    differences: Mapping[Size, float]

    @property
    def largest(self) -> float:
        """The largest absolute difference at any size."""
        return max(self.differences.values())


def verify_graph(
    spec: GraphSpec, model: ModelProto, *, sizes: Sequence[Size] = SIZES, tolerance: float = 1e-4
) -> Verification:
    """Compare the module of `spec` with `model` in onnxruntime, on `spec.example` at each of `sizes`.

    Args:
        spec: What was exported.
        model: What it was exported to.
        sizes: Pictures, as (batch, height, width); any positive sizes.
        tolerance: Two floating-point results agree if they differ by `tolerance * max(1, max |torch's|)` at
            most; integers and booleans have to be equal. NaN agrees with nothing.

    Raises:
        UsageError: There are no sizes, or the module does not return one tensor for each output name.
        MismatchError: The results disagree; names the output, the size, the largest difference and the node
            in which it first appears. Or the graph has other inputs and outputs than `spec`.
        ExportError: onnxruntime cannot load the graph, or run it at one of the sizes.
    """
    if not sizes:
        raise UsageError(f"{spec.name}: there are no sizes to verify the graph at")
    _check_names(spec, model)
    session = ReferenceSession(model)
    return Verification(
        spec.name, {size: _verify_at(size, spec, model, session, tolerance) for size in sizes}
    )


def _verify_at(
    size: Size, spec: GraphSpec, model: ModelProto, session: ReferenceSession, tolerance: float
) -> float:
    """Return the largest difference at `size`."""
    inputs = spec.make_inputs(*size)
    want = _run_module(spec, inputs)
    got = session.run({name: t.numpy() for name, t in zip(spec.inputs, inputs, strict=True)}, spec.outputs)
    differences = {name: compare(want[name], got[name], tolerance) for name in spec.outputs}
    for name, difference in differences.items():
        if not difference.within:
            where = first_difference(spec, model, inputs, name, tolerance)
            batch, height, width = size
            pictures = f"at batch {batch}, {height} x {width}"
            raise MismatchError(f"{spec.name}: {name!r} {difference.text}, {pictures}; {where}")
    return max(difference.largest for difference in differences.values())


def _run_module(spec: GraphSpec, inputs: tuple[Tensor, ...]) -> dict[str, NDArray[Any]]:
    with torch.no_grad():
        results = spec.module(*inputs)
    tensors = (results,) if isinstance(results, torch.Tensor) else tuple(results)
    if len(tensors) != len(spec.outputs):
        raise UsageError(
            f"{spec.name}: the module returns {len(tensors)} tensors for {len(spec.outputs)} outputs"
        )
    return {name: tensor.numpy() for name, tensor in zip(spec.outputs, tensors, strict=True)}


def _check_names(spec: GraphSpec, model: ModelProto) -> None:
    for kind, declared, values in (
        ("inputs", spec.inputs, model.graph.input),
        ("outputs", spec.outputs, model.graph.output),
    ):
        names = [value.name for value in values]
        if names != list(declared):
            raise MismatchError(
                f"{spec.name}: the graph's {kind} are {names}, those declared {list(declared)}"
            )
