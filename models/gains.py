"""Gain vectors: one set of weights for all rates.

    y --times forward(level)--> round --symbols--> times inverse(level) --> y^

Ze Cui, Jing Wang, Shangyin Gao, Tiansheng Guo, Yihui Feng, Bo Bai, asymmetric gained deep image compression
with continuous rate adaptation (CVPR 2021, arXiv:2003.02012): a few anchors have learned vectors, and any
rate between two anchors takes their geometric interpolation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LEVELS = 36
"""Rates that a stream can have; level 0 has the fewest bits."""

ANCHORS = 8
"""Rates whose gains are learned: quality 1 to 8 of the papers."""

LAMBDAS = (8e-4, 0.1)
"""Weight of the mean squared error (pixels of 0 to 255) against bits per pixel, at the first and last level."""


def tradeoff(level: Tensor) -> Tensor:
    """The weight of the distortion at `level`, 0 to 1: even steps of its logarithm."""
    low, high = (math.log(value) for value in LAMBDAS)
    return torch.exp(low + (high - low) * level)


def anchor_weights(level: Tensor, anchors: int = ANCHORS) -> Tensor:
    """What share each anchor has at `level`, [n] or [n, 1, 1, 1] of 0 to 1: [n, anchors]."""
    position = level.reshape(-1, 1) * (anchors - 1)
    numbers = torch.arange(anchors, dtype=level.dtype, device=level.device)
    return torch.relu(1 - torch.abs(position - numbers))


def mixed(shares: Tensor, table: Tensor) -> Tensor:
    """Mean of the rows of `table` [anchors, C] by `shares` [n, anchors]: [n, C].

    A sum instead of a matrix product, which autocast would round to bfloat16.
    """
    return (shares[:, :, None] * table).sum(dim=1)


class Gains(nn.Module):
    """Forward and inverse gains of one latent, one vector for each anchor.

    Args:
        channels: Of the latent.
        step: Quantiser step at the first level, in the latent's own units; it falls with the square root of
            `tradeoff`, as theory has it for fine quantisers. Training moves all gains from there.
    """

    def __init__(self, channels: int, step: float = 4.0) -> None:
        super().__init__()
        weight = tradeoff(torch.linspace(0, 1, ANCHORS))
        start = 0.5 * torch.log(weight / weight[0]) - math.log(step)
        self.log_forward = nn.Parameter(start[:, None].repeat(1, channels))
        self.log_change = nn.Parameter(torch.zeros(ANCHORS, channels))

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """Give the gains at `level` [n]: forward and inverse, [n, C, 1, 1] each."""
        shares = anchor_weights(level)
        return self._at(shares, self.log_forward), self._at(shares, self.log_inverse())

    def inverse(self, level: Tensor) -> Tensor:
        """Give the inverse gains alone at `level`: [n, C, 1, 1]."""
        return self._at(anchor_weights(level), self.log_inverse())

    def log_inverse(self) -> Tensor:
        """Logarithms of the inverse gains at the anchors, [anchors, C]."""
        return self.log_change - self.log_forward

    def tables(self) -> dict[str, list[list[float]]]:
        """Both gains at the anchors, for a manifest: rows of channels."""
        tables = {"forward": self.log_forward, "inverse": self.log_inverse()}
        return {name: torch.exp(table.detach()).tolist() for name, table in tables.items()}

    @staticmethod
    def _at(shares: Tensor, table: Tensor) -> Tensor:
        return torch.exp(mixed(shares, table))[:, :, None, None]


class ByLevel(nn.Module):
    """Scales the channels of features by the level: what a decoder should do depends on how coarse its input is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(ANCHORS, channels))

    def forward(self, features: Tensor, level: Tensor) -> Tensor:
        """Scale [n, C, h, w]; `level` is [n or 1, 1, 1, 1]."""
        return features * torch.exp(mixed(anchor_weights(level), self.log_scale))[:, :, None, None]
