"""Maps that say how much of the code a place gets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from farlook.models.blocks import conv, silent


def level_bias() -> nn.Parameter:
    """What a map's score gains at the first and the last level, [1, 2, 1, 1].

    It begins high, so that gates are open at first and learn to close on what is not worth its bits.
    """
    return nn.Parameter(torch.full((1, 2, 1, 1), 2.0))


def to_map(score: Tensor, bias: Tensor, level: Tensor, values: int) -> Tensor:
    """Make a map of 0 to `values` - 1, not rounded, of a score [n, 1, h, w] at `level` [n or 1, 1, 1, 1]."""
    shifted = score.float() + bias[:, :1] * (1 - level) + bias[:, 1:] * level
    return torch.sigmoid(shifted) * (values - 1)


class Importance(nn.Module):
    """mfca's importance map: convolution and sigmoid, 0 to `values` - 1, not rounded."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.features = conv(channels, 32, 3)
        self.score = silent(conv(32, 1, 1))
        self.by_level = level_bias()
        self.values = values

    def forward(self, features: Tensor, level: Tensor) -> Tensor:
        """Weigh [n, C, h, w] at `level` [n or 1, 1, 1, 1]: [n, 1, h, w]."""
        score = self.score(torch.relu(self.features(features)))
        return to_map(score, self.by_level, level, self.values)
