"""Factorised priors: what coding a latent costs, when each channel has one learned distribution.

J. Balle, D. Minnen, S. Singh, S. J. Hwang, N. Johnston, variational image compression with a scale hyperprior
(ICLR 2018, arXiv:1802.01436), appendix 6.1. There the distribution is a small network; here it is a mixture
of logistic distributions, which has no bad starts and a closed form at every gain:

    p(symbol k | gain g) = F((k + 1/2) / g) - F((k - 1/2) / g)

with F learned on the latent before its gain, so that one F serves all rates. Streams are coded by integer
tables that are counted on training images instead (`farlook.calibration.neural_entropy`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from farlook.models.gains import mixed

_LEAST = 1e-9
_SPREAD = (0.08, 0.3, 0.9, 2.5)


class EntropyBottleneck(nn.Module):
    """The prior of one latent: a mixture of logistic distributions for each channel.

    Args:
        channels: Of the latent.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(channels, len(_SPREAD)))
        self.means = nn.Parameter(torch.zeros(channels, len(_SPREAD)))
        self.log_scales = nn.Parameter(torch.log(torch.tensor(_SPREAD)).repeat(channels, 1))

    def fit_scales(self, spread: Tensor) -> None:
        """Start at the standard deviations `spread` [C]."""
        scales = 0.55 * spread.clamp_min(1e-2)[:, None] * torch.tensor(_SPREAD, device=spread.device)
        with torch.no_grad():
            self.log_scales.copy_(torch.log(scales))

    def forward(self, symbols: Tensor, gain: Tensor) -> Tensor:
        """Bits that each of `symbols` [n, C, h, w], with noise or rounded, costs at `gain` [n, C, 1, 1]."""
        inverse = 1.0 / gain
        values = (symbols * inverse)[..., None]
        half = (0.5 * inverse)[..., None]
        scale = torch.exp(-self.log_scales)[:, None, None]
        # On the left of the mean the difference of two sigmoids keeps its digits; elsewhere mirror it.
        distance = -torch.abs(values - self.means[:, None, None])
        upper = torch.sigmoid((distance + half) * scale)
        lower = torch.sigmoid((distance - half) * scale)
        shares = torch.softmax(self.weights, dim=1)[:, None, None]
        likelihood = ((upper - lower) * shares).sum(dim=-1)
        return -torch.log2(likelihood.clamp_min(_LEAST))


class MapPrior(nn.Module):
    """The prior of a side map: how often each of its few values occurs, at each anchor rate.

    Args:
        values: The map has integers from 0 to values - 1.
        anchors: Rows of the table.
    """

    def __init__(self, values: int, anchors: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(anchors, values))

    def forward(self, soft: Tensor, shares: Tensor) -> Tensor:
        """Bits of each entry, interpolated between integers so that they have a gradient.

        Args:
            soft: [n, 1, h, w], 0 to values - 1.
            shares: [n, anchors], see `anchor_weights`.
        """
        bits = -torch.log2(torch.softmax(mixed(shares, self.logits), dim=1))[:, :, None, None]
        numbers = torch.arange(bits.shape[1], dtype=soft.dtype, device=soft.device)[:, None, None]
        return (bits * torch.relu(1 - torch.abs(soft - numbers))).sum(dim=1, keepdim=True)
