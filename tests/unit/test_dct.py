"""The block DCT in numpy, against scipy and against its own definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn, idctn

from farlook.kernels.dct import dct2, dct2_reference, dct_matrix, idct2, idct2_reference
from farlook.runtime.errors import UsageError

BLOCKS = (2, 4, 8, 16, 32)
FORWARD = (dct2, dct2_reference)
BACKWARD = (idct2, idct2_reference)
PAIRS = list(zip(FORWARD, BACKWARD, strict=True))


def picture(*shape):
    """Unit-range samples around zero, the same every time."""
    return np.random.default_rng(7).uniform(-0.5, 0.5, shape)


def scipy_blockwise(function, x, n):
    *lead, height, width = x.shape
    blocks = x.reshape(*lead, height // n, n, width // n, n)
    return function(blocks, axes=(-3, -1), norm="ortho").reshape(x.shape)


@pytest.mark.parametrize("n", [1, *BLOCKS])
def test_the_matrix_is_orthonormal_and_starts_with_the_mean(n):
    T = dct_matrix(n)
    assert T.dtype == np.float64
    np.testing.assert_allclose(T @ T.T, np.eye(n), atol=1e-14)
    np.testing.assert_allclose(T[0], 1 / np.sqrt(n))


def test_the_matrix_cannot_be_changed_by_one_of_its_users():
    with pytest.raises(ValueError, match="read-only"):
        dct_matrix(8)[0, 0] = 0


@pytest.mark.parametrize("n", BLOCKS)
@pytest.mark.parametrize("transform", FORWARD)
def test_forward_is_scipys(transform, n):
    x = picture(2, 3, 2 * n, 3 * n)
    np.testing.assert_allclose(transform(x, n), scipy_blockwise(dctn, x, n), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", BLOCKS)
@pytest.mark.parametrize("transform", BACKWARD)
def test_backward_is_scipys(transform, n):
    y = picture(2, 3, 3 * n, 2 * n)
    np.testing.assert_allclose(transform(y, n), scipy_blockwise(idctn, y, n), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", BLOCKS)
@pytest.mark.parametrize(("transform", "judge"), [(dct2, dctn), (idct2, idctn)])
def test_float32_stays_float32_and_loses_a_millionth_at_most(transform, judge, n):
    x = picture(2, 4 * n, 3 * n).astype(np.float32)
    result = transform(x, n)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, scipy_blockwise(judge, x.astype(np.float64), n), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_is_the_inputs(dtype):
    x = picture(16, 16).astype(dtype)
    assert dct2(x, 8).dtype == idct2(x, 8).dtype == dtype
    assert dct2_reference(x, 8).dtype == idct2_reference(x, 8).dtype == np.float64


@pytest.mark.parametrize("n", BLOCKS)
@pytest.mark.parametrize(("forward", "backward"), PAIRS)
def test_round_trip(forward, backward, n):
    x = picture(2 * n, 5 * n)
    np.testing.assert_allclose(backward(forward(x, n), n), x, rtol=0, atol=1e-12)


def test_leading_axes_are_independent():
    x = picture(2, 3, 16, 24)
    np.testing.assert_array_equal(dct2(x, 8)[1, 2], dct2(x[1, 2], 8))


def test_strided_input_gives_what_its_copy_gives():
    x = picture(32, 64).T[::2]
    np.testing.assert_allclose(dct2(x, 8), dct2(np.ascontiguousarray(x), 8), rtol=0, atol=1e-15)


@pytest.mark.parametrize("transform", [*FORWARD, *BACKWARD])
@pytest.mark.parametrize(
    ("shape", "block", "message"),
    [
        ((16, 12), 8, "16 x 12 does not divide into blocks of 8"),
        ((12, 16), 8, "12 x 16 does not divide"),
        ((16,), 8, r"\[\.\.\., H, W\]"),
        ((16, 16), 0, "at least one sample"),
        ((16, 16), -8, "at least one sample"),
    ],
)
def test_what_does_not_divide_into_blocks_is_refused(transform, shape, block, message):
    with pytest.raises(UsageError, match=message):
        transform(np.zeros(shape), block)


@pytest.mark.parametrize("transform", [dct2, idct2])
def test_integers_are_refused_rather_than_truncated(transform):
    with pytest.raises(UsageError, match="floating-point"):
        transform(np.zeros((8, 8), dtype=np.uint8), 8)


def test_a_matrix_of_no_samples_is_refused():
    with pytest.raises(UsageError, match="at least one sample"):
        dct_matrix(0)
