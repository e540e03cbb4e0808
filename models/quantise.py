"""Rounding that gradients pass through, and the noise that stands for it."""

from __future__ import annotations

import torch
from torch import Tensor


def round_through(values: Tensor) -> Tensor:
    """Round half to even; the gradient is that of the identity ("straight through")."""
    return values + (torch.round(values) - values).detach()


def add_noise(values: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Add uniform noise of -1/2 to 1/2, whose density at an integer is what coding that integer costs."""
    noise = torch.rand(values.shape, generator=generator, dtype=values.dtype)
    return values + (noise - 0.5).to(values.device)


def shrink(values: Tensor, dead_zone: Tensor) -> Tensor:
    """Move `values` towards zero by `dead_zone` [1, C, 1, 1], but not across it.

    Rounding what it gives is rounding with a dead zone: what costs bits and helps little becomes zero, and
    the reconstruction point of an integer comes nearer to the mean of what is rounded to it.
    """
    return values - torch.maximum(torch.minimum(values, dead_zone), -dead_zone)
