"""Small parts that the four codecs share: convolutions, residual layers, changes of resolution, linear paths."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.kernels.dct import dct_matrix

SLOPE = 0.1
"""Of LeakyReLU, which is used instead of GDN: it costs one comparison, and quantises well."""


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that pads with zeros so that it keeps the size, or divides it by `stride`."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def activation() -> nn.Module:
    """The activation after a convolution."""
    return nn.LeakyReLU(SLOPE)


def silent(layer: nn.Conv2d) -> nn.Conv2d:
    """Make a convolution begin as zero, so that a branch starts by changing nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Residual(nn.Module):
    """A residual layer, F_n = s(W * F_{n-1} + b) + F_{n-1}."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.convolution = conv(channels, channels, kernel)
        self.activation = activation()

    def forward(self, features: Tensor) -> Tensor:
        """Same shape."""
        result: Tensor = self.activation(self.convolution(features)) + features
        return result


class Upsample(nn.Module):
    """Convolution and depth-to-space: what the papers draw as transposed convolution, without its checkerboard."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, factor: int = 2) -> None:
        super().__init__()
        self.convolution = conv(inputs, outputs * factor * factor, kernel)
        self.factor = factor

    def forward(self, features: Tensor) -> Tensor:
        """Map [n, inputs, h, w] to [n, outputs, factor h, factor w]."""
        return functional.pixel_shuffle(self.convolution(features), self.factor)


class LinearPath(nn.Module):
    """A skip from pixels to latents inside the encoder, or back inside the decoder: one matrix per block.

    It begins as a 16x16 DCT of three opponent colours, of which the `channels` that vary most in photographs
    are kept, in that order; a network beside it begins as zero. So training starts at a transform coder, not at noise.
    The scale makes Adam's steps small against the matrix's entries. All of it is computed in float32: a mean
    grey has more digits than bfloat16.

    Args:
        channels: Rows of the matrix.
        block: Pixels along a block's side.
        first: How many of the most varying frequencies are left out.
    """

    SCALE = 0.1
    UNIT = 8.0
    """Latents are DCT coefficients of 0 .. 1 pixels times this: about 32 grey levels each."""

    def __init__(self, channels: int, block: int = 16, first: int = 0) -> None:
        super().__init__()
        self.block = block
        self.weight = nn.Parameter(dct_rows(block)[first : first + channels] / self.SCALE)

    def analyse(self, image: Tensor) -> Tensor:
        """Map pixels [n, 3, H, W] to latents [n, channels, H / block, W / block]."""
        kernel = (self.weight * (self.SCALE * self.UNIT)).reshape(-1, 3, self.block, self.block)
        with torch.autocast(image.device.type, enabled=False):
            return functional.conv2d(image.float(), kernel, stride=self.block)

    def synthesise(self, latent: Tensor) -> Tensor:
        """Map latents back to pixels, as the transposed matrix would."""
        kernel = (self.weight * (self.SCALE / self.UNIT)).t()[:, :, None, None]
        with torch.autocast(latent.device.type, enabled=False):
            return functional.pixel_shuffle(functional.conv2d(latent.float(), kernel), self.block)


def dct_rows(block: int) -> Tensor:
    """An orthonormal DCT of `block` x `block` pixels of three opponent colours, most varying first.

    Returns:
        float32 [3 block^2, 3 block^2]; columns are (colour, row, column).
    """
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
    colours = colours / colours.norm(dim=1, keepdim=True)
    basis = torch.tensor(dct_matrix(block))
    rows = torch.einsum("kc,uy,vx->kuvcyx", colours, basis, basis).reshape(3 * block**2, -1)
    frequency = torch.arange(block, dtype=torch.float64)
    radius = frequency[:, None].square() + frequency.square() + 0.4
    spread = torch.stack([math.log(share) - torch.log(radius) for share in (1.0, 0.09, 0.03)])
    return rows[torch.argsort(spread.flatten(), descending=True, stable=True)].float()
