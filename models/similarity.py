"""SSIM, MS-SSIM and an edge-preserving error, for losses; `farlook.benchmarks.metrics` has those that are reported.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli (2004); MS-SSIM: Wang, Simoncelli, Bovik (2003).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """Structural similarity at every pixel of [n, 3, H, W] of 0 to 1; edges see mirrored pixels."""
    luminance, contrast = _parts(one.float(), other.float())
    return luminance * contrast


def ms_ssim(one: Tensor, other: Tensor) -> Tensor:
    """Multi-scale similarity of each picture, [n]; scales smaller than a window are left out."""
    one, other = one.float(), other.float()
    scales = [n for n in range(len(_WEIGHTS)) if min(one.shape[-2:]) >> n >= _TAPS]
    result = torch.ones(len(one), device=one.device)
    for number in scales:
        luminance, contrast = _parts(one, other)
        value = luminance * contrast if number == scales[-1] else contrast
        share = _WEIGHTS[number] / sum(_WEIGHTS[: len(scales)])
        result = result * value.mean(dim=(1, 2, 3)).clamp_min(1e-4) ** share
        one, other = functional.avg_pool2d(one, 2), functional.avg_pool2d(other, 2)
    return result


def gradient_error(one: Tensor, other: Tensor) -> Tensor:
    """Squared error plus that of the differences between neighbours, which keeps edges: [n, 3, H, W]."""
    error = one - other
    down = functional.pad(error[:, :, 1:] - error[:, :, :-1], (0, 0, 0, 1))
    right = functional.pad(error[:, :, :, 1:] - error[:, :, :, :-1], (0, 1))
    return error.square() + 0.5 * (down.square() + right.square())


def _parts(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    mean_one, mean_other = _blur(one), _blur(other)
    variance = _blur(one * one) - mean_one.square() + _blur(other * other) - mean_other.square()
    covariance = _blur(one * other) - mean_one * mean_other
    luminance = (2 * mean_one * mean_other + _C1) / (mean_one.square() + mean_other.square() + _C1)
    return luminance, (2 * covariance + _C2) / (variance + _C2)


def _blur(image: Tensor) -> Tensor:
    offsets = torch.arange(_TAPS, dtype=image.dtype, device=image.device) - _TAPS // 2
    window = torch.softmax(-offsets.square() / (2 * _SIGMA**2), dim=0)
    channels, margin = image.shape[1], _TAPS // 2
    image = functional.pad(image, (margin,) * 4, mode="reflect")
    rows = functional.conv2d(image, window.view(1, 1, -1, 1).repeat(channels, 1, 1, 1), groups=channels)
    return functional.conv2d(rows, window.view(1, 1, 1, -1).repeat(channels, 1, 1, 1), groups=channels)
