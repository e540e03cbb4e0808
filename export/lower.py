"""How operators become ONNX where the exporter has no translation, or a poor one.

    farlook::dct2, idct2   two MatMuls with views around them
    aten::pixel_unshuffle  SpaceToDepth, which the exporter spells as 18 nodes of shape arithmetic

No size of the picture appears in what is written here: in a Reshape, 0 keeps an axis and -1 works one out, so
a graph has no Shape node and an engine builder sees plain views. `docs/decisions/002-dct-lowering.md` has the
reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnxscript import opset18 as op

import farlook.kernels.dct_torch  # noqa: F401  registers torch.ops.farlook
from farlook.kernels.dct import dct_matrix
from farlook.runtime.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


# Whose operators can be translated: torch's own namespaces, and ours through `translations`.
TRANSLATED = {"aten", "prims", "prim", "farlook"}


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the translation of each operator, for torch.onnx's `custom_translation_table`."""
    return {
        torch.ops.farlook.dct2.default: _dct2,
        torch.ops.farlook.idct2.default: _idct2,
        torch.ops.aten.pixel_unshuffle.default: _pixel_unshuffle,
    }


def check_domains(model: onnx.ModelProto, name: str) -> None:
    """Make sure that every node of `model` is standard ONNX.

    Raises:
        ExportError: A node is of a custom domain; names both.
    """
    for node in all_nodes(model.graph):
        if node.domain not in {"", "ai.onnx"}:
            raise ExportError(
                f"{name}: node {node.name!r} ({node.op_type}) is of the custom domain {node.domain!r}, "
                "which only a runtime with a plugin for it could run; express it with standard operators"
            )


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of `graph` in order, each before those of its subgraphs."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from all_nodes(subgraph)


# The exporter calls these while it writes a graph; `x` is a symbolic tensor with a dtype and a shape.


def _dct2(x: Any, block: int) -> Any:
    T = dct_matrix(block)
    return _blockwise(T, x, T.T)


def _idct2(x: Any, block: int) -> Any:
    T = dct_matrix(block)
    return _blockwise(T.T, x, T)


def _blockwise(left: NDArray[np.float64], x: Any, right: NDArray[np.float64]) -> Any:
    """Multiply every block of `x`, `[..., H, W]`, by `left` from the left and by `right` from the right.

    The right one sees `[..., H, W/n, n]`, the left one `[..., H/n, n, W]`. There W stands at position r
    instead of r-1, and a 0 in a Reshape keeps what stands at its own position; so an axis of length 1 is put
    before W first, and taken away last.
    """
    n, rank = len(left), len(x.shape)
    lead, axis = [0] * (rank - 2), _integers(rank - 1)
    rows = op.Reshape(x, _integers(*lead, 0, -1, n))
    y = op.Reshape(op.MatMul(rows, _constant(right, x)), _integers(*lead, 0, -1))
    columns = op.Reshape(op.Unsqueeze(y, axis), _integers(*lead, -1, n, 0))
    y = op.Reshape(op.MatMul(_constant(left, x), columns), _integers(*lead, -1, 1, 0))
    return op.Squeeze(y, axis)


def _pixel_unshuffle(x: Any, downscale_factor: int) -> Any:
    """Translate pixel_unshuffle of `[N, C, H, W]`; with C > 1, SpaceToDepth orders channels differently."""
    if len(x.shape) != 4 or not isinstance(x.shape[1], int):
        raise ExportError(f"pixel_unshuffle needs [N, C, H, W] with a fixed C to be exported; got {x.shape}")
    depth = op.SpaceToDepth(x, blocksize=downscale_factor)
    channels = x.shape[1]
    if channels == 1:
        return depth
    # SpaceToDepth counts (row, column, channel), torch (channel, row, column).
    order = np.arange(channels * downscale_factor**2).reshape(-1, channels).T.ravel()
    return op.Gather(depth, _integers(*order.tolist()), axis=1)


def _integers(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


def _constant(matrix: NDArray[np.float64], like: Any) -> Any:
    """Return `matrix` as a constant of the dtype that `like` has."""
    tensor = onnx.helper.make_tensor("", int(like.dtype), matrix.shape, matrix.ravel().tolist())
    return op.Constant(value=tensor)
