"""The block DCT in torch: one node in a traced graph, differentiable, and its matmul form.

`farlook::dct2(Tensor x, int block) -> Tensor` and `farlook::idct2` are operators, so `torch.export` keeps
each as one node that `farlook.export.lower` turns into two ONNX MatMuls. See `farlook.kernels.dct` for the
transform itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farlook.kernels.dct import check_blocks, dct_matrix
from farlook.runtime.errors import MissingExtraError, UsageError

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtraError("torch", "train", "for the differentiable DCT") from error

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def dct2(x: Tensor, block: int) -> Tensor:
    """Transform every block of `x`, `[..., H, W]` in one of `DTYPES`, on any device: `T X T^t`.

    Raises:
        UsageError: `x` has another dtype, or H and W are not multiples of `block`.
    """
    _check(x, block)
    result: Tensor = _dct2(x, block)
    return result


def idct2(x: Tensor, block: int) -> Tensor:
    """Undo `dct2`: `T^t Y T` for every block of `x`, `[..., H, W]` in one of `DTYPES`, on any device.

    Raises:
        UsageError: `x` has another dtype, or H and W are not multiples of `block`.
    """
    _check(x, block)
    result: Tensor = _idct2(x, block)
    return result


def dct2_matmul(x: Tensor, block: int) -> Tensor:
    """Compute `dct2` with plain tensor operations, which trace with symbolic batch, height and width.

    Raises:
        UsageError: `x` has a dtype outside `DTYPES`, or H and W are not multiples of `block`.
    """
    T = _matrix_for(x, block)
    return _right(_left(T, x, block), T.t(), block)


def idct2_matmul(x: Tensor, block: int) -> Tensor:
    """Compute `idct2` with plain tensor operations, which trace with symbolic batch, height and width.

    Raises:
        UsageError: `x` has a dtype outside `DTYPES`, or H and W are not multiples of `block`.
    """
    T = _matrix_for(x, block)
    return _right(_left(T.t(), x, block), T, block)


def _check(x: Tensor, block: int) -> None:
    check_blocks(x.shape, block)
    if x.dtype not in DTYPES:
        raise UsageError(
            f"a DCT needs float16, bfloat16, float32 or float64; got {x.dtype}, convert it first"
        )


def _matrix_for(x: Tensor, block: int) -> Tensor:
    _check(x, block)
    return torch.tensor(dct_matrix(block), dtype=x.dtype, device=x.device)


def _left(matrix: Tensor, x: Tensor, block: int) -> Tensor:
    """Multiply every block by `matrix` from the left: `[..., H/n, n, W]` has a row of blocks side by side."""
    *lead, height, width = x.shape
    return (matrix @ x.reshape(*lead, height // block, block, width)).reshape(x.shape)


def _right(x: Tensor, matrix: Tensor, block: int) -> Tensor:
    """Multiply every block by `matrix` from the right, as rows of `[..., H, W/n, n]`."""
    *lead, height, width = x.shape
    return (x.reshape(*lead, height, width // block, block) @ matrix).reshape(x.shape)


# The schemas are written out because annotations are strings here, which older torch cannot infer from.
_SCHEMA = "(Tensor x, int block) -> Tensor"
_dct2 = torch.library.custom_op("farlook::dct2", dct2_matmul, mutates_args=(), schema=_SCHEMA)
_idct2 = torch.library.custom_op("farlook::idct2", idct2_matmul, mutates_args=(), schema=_SCHEMA)


def _same_shape(x: Tensor, block: int) -> Tensor:
    """Say what either operator returns, without computing it; a wrong block fails here too."""
    _check(x, block)
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep_block(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
    ctx.block = inputs[1]


# The adjoint of an orthonormal transform is its inverse; `block` has no gradient.
def _dct2_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    return _idct2(grad, ctx.block), None


def _idct2_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    return _dct2(grad, ctx.block), None


for _operator, _backward in ((_dct2, _dct2_backward), (_idct2, _idct2_backward)):
    _operator.register_fake(_same_shape)
    _operator.register_autograd(_backward, setup_context=_keep_block)
