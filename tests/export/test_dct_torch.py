"""The block DCT in torch: three forms, gradients, and the contract of a torch operator."""

from __future__ import annotations

import pytest
import torch
from scipy.fft import dctn, idctn

from farlook.kernels import dct
from farlook.kernels.dct_torch import DTYPES, dct2, dct2_matmul, idct2, idct2_matmul
from farlook.runtime.errors import UsageError

BLOCKS = (2, 4, 8, 16, 32)
FORMS = [(dct2, dct2_matmul, dct.dct2, dctn), (idct2, idct2_matmul, dct.idct2, idctn)]
TOLERANCE = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2, torch.float32: 1e-6, torch.float64: 1e-12}


def picture(*shape, dtype=torch.float64):
    """Unit-range samples around zero, the same every time."""
    samples = torch.rand(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    return (samples - 0.5).to(dtype)


@pytest.mark.parametrize("n", BLOCKS)
@pytest.mark.parametrize(("operator", "matmul", "in_numpy", "_"), FORMS)
def test_the_three_forms_agree(operator, matmul, in_numpy, _, n):
    x = picture(2, 3, 2 * n, 3 * n)
    expected = torch.from_numpy(in_numpy(x.numpy(), n))
    torch.testing.assert_close(operator(x, n), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(matmul(x, n), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", BLOCKS)
@pytest.mark.parametrize(("operator", "_matmul", "_numpy", "judge"), FORMS)
def test_every_dtype_against_scipy(operator, _matmul, _numpy, judge, n, dtype):
    x = picture(2, 4 * n, 3 * n, dtype=dtype)
    blocks = x.double().numpy().reshape(2, 4, n, 3, n)
    expected = torch.from_numpy(judge(blocks, axes=(-3, -1), norm="ortho").reshape(x.shape))
    result = operator(x, n)
    assert result.dtype == dtype
    limit = TOLERANCE[dtype] * max(1.0, expected.abs().max().item())
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=limit)


@pytest.mark.parametrize("operator", [dct2, idct2])
def test_gradients(operator):
    x = picture(2, 8, 12).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: operator(t, 4), (x,))
    assert torch.autograd.gradgradcheck(lambda t: operator(t, 4) ** 2, (x,))


@pytest.mark.parametrize("shape", [(8, 16), (2, 1, 16, 8)])
@pytest.mark.parametrize("name", ["dct2", "idct2"])
def test_the_operators_keep_torchs_contract(name, shape):
    operator = getattr(torch.ops.farlook, name).default
    torch.library.opcheck(operator, (picture(*shape, dtype=torch.float32).requires_grad_(), 8))
    torch.library.opcheck(operator, (picture(*shape).mT, 8))


def test_the_matmul_form_traces_with_symbolic_sizes():
    class Both(torch.nn.Module):
        def forward(self, x):
            return idct2_matmul(dct2_matmul(x, 8), 8)

    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))
    axes = ({0: batch, 2: 8 * rows, 3: 8 * columns},)
    program = torch.export.export(Both(), (picture(2, 3, 16, 24),), dynamic_shapes=axes).module()
    x = picture(5, 3, 40, 32)
    torch.testing.assert_close(program(x), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", [dct2, idct2, dct2_matmul, idct2_matmul])
def test_wrong_arguments_are_refused(function):
    with pytest.raises(UsageError, match="12 x 16 does not divide into blocks of 8"):
        function(torch.zeros(12, 16), 8)
    with pytest.raises(UsageError, match="at least one sample"):
        function(torch.zeros(8, 8), 0)
    with pytest.raises(UsageError, match=r"got torch\.int32"):
        function(torch.zeros(8, 8, dtype=torch.int32), 8)
