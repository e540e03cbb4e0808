"""The block DCT in numpy: the definition, and the form that every graph uses.

An image plane is cut into `n` by `n` blocks; each block `X` becomes `Y = T X T^t`, where `T` is the
orthonormal DCT-II matrix (Ahmed, Natarajan and Rao, "Discrete Cosine Transform", IEEE Trans. Computers,
1974). Coefficients stay where their block was, so input and output have the same shape:

    [..., H, W] --dct2--> [..., H, W] --idct2--> [..., H, W]

`dct2` and `idct2` take one matmul for the rows and one for the columns, and never transpose data: splitting
an axis of a contiguous array is a view. `farlook.kernels.dct_torch` and the ONNX graphs compute the same two
matmuls.

    >>> plane = np.ones((8, 16), dtype=np.float32)
    >>> dct2(plane, 8)[0, ::8].round(3)  # a flat block has a mean and nothing else: 8 times its value
    array([8., 8.], dtype=float32)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating[Any])


@lru_cache(maxsize=16)
def dct_matrix(n: int) -> NDArray[np.float64]:
    """Return the orthonormal DCT-II matrix `T`, float64 `[n, n]`, read-only; row `u` is frequency `u`.

    `T[0, v] = 1 / sqrt(n)` and `T[u, v] = sqrt(2 / n) cos((2 v + 1) u pi / 2 n)`, so `T @ T.T` is the
    identity.

    Raises:
        UsageError: `n` is not positive.
    """
    if n < 1:
        raise UsageError(f"a DCT needs at least one sample; got a block of {n}")
    u, v = np.ogrid[:n, :n]
    matrix: NDArray[np.float64] = np.sqrt(2 / n) * np.cos((2 * v + 1) * u * np.pi / (2 * n))
    matrix[0] = 1 / np.sqrt(n)
    matrix.flags.writeable = False
    return matrix


def check_blocks(shape: Sequence[int], block: int) -> None:
    """Make sure that the last two axes of `shape` can be cut into blocks.

    Raises:
        UsageError: There are fewer than two axes, `block` is not positive, or it does not divide the two
            axes.
    """
    if block < 1:
        raise UsageError(f"a DCT needs at least one sample; got a block of {block}")
    if len(shape) < 2:
        raise UsageError(f"a block DCT works on [..., H, W]; got the shape {tuple(shape)}")
    if shape[-2] % block or shape[-1] % block:
        raise UsageError(
            f"{shape[-2]} x {shape[-1]} does not divide into blocks of {block}; pad both sides to multiples"
        )


def dct2(x: NDArray[Float], block: int) -> NDArray[Float]:
    """Transform every block of `x`, floating point `[..., H, W]`, in its own dtype: `T X T^t`.

    Raises:
        UsageError: `x` is not floating point, or H and W are not multiples of `block`.
    """
    T = _matrix_for(x, block)
    return _right(_left(T, x, block), T.T, block)


def idct2(x: NDArray[Float], block: int) -> NDArray[Float]:
    """Undo `dct2`: `T^t Y T` for every block of `x`, floating point `[..., H, W]`, in its own dtype.

    Raises:
        UsageError: `x` is not floating point, or H and W are not multiples of `block`.
    """
    T = _matrix_for(x, block)
    return _right(_left(T.T, x, block), T, block)


def dct2_reference(x: NDArray[Any], block: int) -> NDArray[np.float64]:
    """Transform every block of `x`, `[..., H, W]`, by the double sum of the definition, in float64.

    `F[u, v] = 2/n c(u) c(v) sum_y sum_x f[y, x] cos((2y+1) u pi / 2n) cos((2x+1) v pi / 2n)`, `c(0) =
    sqrt(1/2)` and 1 otherwise. Slow, and on purpose without `dct_matrix`: it is what the other forms are
    tested against.

    Raises:
        UsageError: H and W are not multiples of `block`.
    """
    f = _as_blocks(x, block)
    basis, scale = _basis(block)
    F: NDArray[np.float64] = scale * np.einsum("...yx,yu,xv->...uv", f, basis, basis)
    return F.swapaxes(-2, -3).reshape(x.shape)


def idct2_reference(x: NDArray[Any], block: int) -> NDArray[np.float64]:
    """Undo `dct2_reference` by the double sum of the definition, float64 `[..., H, W]`.

    `f[y, x] = 2/n sum_u sum_v c(u) c(v) F[u, v] cos((2y+1) u pi / 2n) cos((2x+1) v pi / 2n)`.

    Raises:
        UsageError: H and W are not multiples of `block`.
    """
    F = _as_blocks(x, block)
    basis, scale = _basis(block)
    f: NDArray[np.float64] = np.einsum("...uv,yu,xv->...yx", scale * F, basis, basis)
    return f.swapaxes(-2, -3).reshape(x.shape)


def _matrix_for(x: NDArray[Float], block: int) -> NDArray[Float]:
    """Return `T` in the dtype of `x`, once `x` is known to be something it can multiply."""
    check_blocks(x.shape, block)
    if not np.issubdtype(x.dtype, np.floating):
        raise UsageError(f"a DCT needs floating-point samples; got {x.dtype}, convert it first")
    return dct_matrix(block).astype(x.dtype)


def _left(matrix: NDArray[Float], x: NDArray[Float], block: int) -> NDArray[Float]:
    """Multiply every block by `matrix` from the left: `[..., H/n, n, W]` has a row of blocks side by side."""
    *lead, height, width = x.shape
    return (matrix @ x.reshape(*lead, height // block, block, width)).reshape(x.shape)


def _right(x: NDArray[Float], matrix: NDArray[Float], block: int) -> NDArray[Float]:
    """Multiply every block by `matrix` from the right, as rows of `[..., H, W/n, n]`."""
    *lead, height, width = x.shape
    return (x.reshape(*lead, height, width // block, block) @ matrix).reshape(x.shape)


def _basis(block: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosines `[sample, frequency]` and the factors `2/n c(u) c(v)` of the definition."""
    index = np.arange(block, dtype=np.float64)
    c = np.where(index == 0, np.sqrt(0.5), 1.0)
    return np.cos(np.outer(2 * index + 1, index) * np.pi / (2 * block)), 2 / block * np.outer(c, c)


def _as_blocks(x: NDArray[Any], block: int) -> NDArray[np.float64]:
    """Return `[..., H, W]` as float64 `[..., H/n, W/n, n, n]`."""
    check_blocks(x.shape, block)
    *lead, height, width = x.shape
    blocks = x.astype(np.float64).reshape(*lead, height // block, block, width // block, block)
    return blocks.swapaxes(-2, -3)
