"""PMCN, the parallel multi-scale convolution of mfca's paper."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from farlook.models.attention import MFCA
from farlook.models.blocks import activation, conv

KERNELS = (1, 3, 5, 7)


class PMCN(nn.Module):
    """Channel groups through 1x1, 3x3, 5x5 and 7x7 kernels, concatenated, combined, then MFCA; added to its input.

        features --split--> 4 groups --1, 3, 5, 7--> concatenate --1x1--> MFCA --plus features-->

    Args:
        channels: A multiple of 4.
        stride: Pixels along a side of one position.
        parallel: Off, one 3x3 convolution takes the groups' place (ablation).
        attention: Off, there is no MFCA (ablation).
    """

    def __init__(self, channels: int, stride: int, *, parallel: bool = True, attention: bool = True) -> None:
        super().__init__()
        share = channels // len(KERNELS)
        kernels = [conv(share, share, kernel) for kernel in KERNELS]
        self.groups = nn.ModuleList(kernels if parallel else [conv(channels, channels, 3)])
        self.combine = conv(channels, channels, 1)
        self.activation = activation()
        self.attention: nn.Module = MFCA(channels, stride) if attention else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Same shape."""
        parts = features.chunk(len(self.groups), dim=1)
        mixed = torch.cat([layer(part) for layer, part in zip(self.groups, parts, strict=True)], dim=1)
        result: Tensor = features + self.attention(self.combine(self.activation(mixed)))
        return result
