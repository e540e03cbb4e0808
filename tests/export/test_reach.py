"""How far networks look, found by trying."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from farlook.export.reach import measure_reach
from farlook.runtime.errors import ExportError

STRIDE = 8


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reach(module, channels=1, side=13 * STRIDE):
    return measure_reach(
        module.eval(), (noise(1, channels, side, side),), (noise(1, channels, side, side, seed=1),), STRIDE
    )


@pytest.mark.parametrize(("kernel", "expected"), [(1, 0), (3, 8), (15, 8), (17, 8), (19, 16)])
def test_a_convolution_reaches_half_its_kernel(kernel, expected):
    torch.manual_seed(0)
    assert reach(nn.Conv2d(1, 1, kernel, padding=kernel // 2)) == expected


def test_strides_and_layers_add_up():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 5, 4, 2), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 2, 3, padding=1)
    )
    assert reach(network) == 16


def test_pooling_over_cells_counts_to_the_rim_of_the_cell():
    class Cells(nn.Module):
        def forward(self, x):
            return x * functional.interpolate(functional.max_pool2d(x, 8), scale_factor=8.0)

    class Wide(nn.Module):
        def forward(self, x):
            return x + functional.avg_pool2d(x, 41, 1, 20)

    assert reach(Cells()) == 0
    assert reach(Wide()) == 24


def test_several_inputs_and_outputs_of_any_stride():
    class Two(nn.Module):
        def forward(self, scale, fine, coarse):
            grown = functional.interpolate(coarse, scale_factor=8.0)
            return fine * scale, functional.avg_pool2d(grown, 3, 1, 1) + fine

    side = 11 * STRIDE
    first, second = (
        (torch.ones(1, 1, 1, 1), noise(1, 2, side, side, seed=s), noise(1, 2, 11, 11, seed=s + 1))
        for s in (1, 5)
    )
    assert measure_reach(Two(), first, second, STRIDE) == STRIDE


def test_an_average_of_everything_has_no_reach():
    class Everything(nn.Module):
        def forward(self, x):
            return x + x.mean(dim=(2, 3), keepdim=True)

    with pytest.raises(ExportError, match="48 pixels"):
        reach(Everything())
