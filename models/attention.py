"""Attention of the papers, by cells: CBAM and MFCA.

Both papers average over the whole feature map. Then a latent would depend on the picture's far side, and a
picture coded in windows would differ from the same picture coded at once. Here the averages are of cells
of 32 x 32 pixels: attention of what lies around, at any picture size.

    features [n, C, h, w] --pool each cell--> [n, C, h/c, w/c] --MLP, sigmoid--> weights --repeat--> times features
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.kernels.dct_torch import dct2
from farlook.models.blocks import activation, conv

CELL = 32
"""Pixels along a cell's side."""

FREQUENCIES = ((0, 0), (0, 1), (1, 0), (1, 1))


class CBAM(nn.Module):
    """Convolutional block attention: channel attention, then spatial attention (Woo et al., arXiv:1807.06521).

    Args:
        channels: Of the features.
        stride: Pixels along a side of one position.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.cell = CELL // stride
        self.shared = _mlp(channels, channels)
        self.spatial = conv(2, 1, 7)

    def forward(self, features: Tensor) -> Tensor:
        """Weigh channels, then positions; same shape."""
        average = self.shared(functional.avg_pool2d(features, self.cell))
        largest = self.shared(functional.max_pool2d(features, self.cell))
        features = features * _spread(torch.sigmoid(average + largest), self.cell)
        summary = torch.cat((features.mean(1, keepdim=True), features.amax(1, keepdim=True)), dim=1)
        result: Tensor = features * torch.sigmoid(self.spatial(summary))
        return result


class MFCA(nn.Module):
    """Multi-frequency channel attention: DCT components of the features, through an MLP, weigh the channels.

    A quarter of the channels each gives its mean, its horizontal, vertical and diagonal change over a cell.

    Args:
        channels: Of the features; a multiple of 4.
        stride: Pixels along a side of one position.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.cell = CELL // stride
        self.share = channels // len(FREQUENCIES)
        self.weigh = _mlp(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Weigh the channels; same shape."""
        spectrum = dct2(features, self.cell) / self.cell
        parts = [
            group[:, :, u :: self.cell, v :: self.cell]
            for group, (u, v) in zip(torch.split(spectrum, self.share, dim=1), FREQUENCIES, strict=True)
        ]
        return features * _spread(torch.sigmoid(self.weigh(torch.cat(parts, dim=1))), self.cell)


def _mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv(inputs, inputs // 4, 1), activation(), conv(inputs // 4, outputs, 1))


def _spread(weights: Tensor, cell: int) -> Tensor:
    return functional.interpolate(weights, scale_factor=float(cell), mode="nearest")
