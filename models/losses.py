"""What training minimises: the papers' losses, and the rate-distortion loss that wins.

    rd       bits per pixel + lambda(level) 255^2 MSE, weighed so that all rates count alike
    paper    as each paper has it: see `PAPER`

The papers train one network for one rate. Here a level is drawn for each picture: distortions of the papers'
losses are multiplied by lambda(level) / lambda(1/2), so that they mean at the middle level what the papers
wrote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from farlook.models.gains import tradeoff
from farlook.models.similarity import gradient_error, ms_ssim, ssim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farlook.models.neural import Coded

    Loss = Callable[[Coded, Tensor, Tensor], Tensor]

PRESETS = ("rd", "paper")

_PEAK = 255.0**2
_MIDDLE = 0.5
_BALANCE = 0.45
_PATCH = 32


def rate_distortion(coded: Coded, image: Tensor, level: Tensor) -> Tensor:
    """Bits per pixel and weighed squared error.

    Both grow about with the root of lambda from one rate to the next; divided by that, each rate has its share.
    """
    weight = tradeoff(level)
    cost = coded.bpp + weight * _PEAK * squared_error(coded, image)
    return (cost * (weight / tradeoff(torch.full_like(level, _MIDDLE))) ** -_BALANCE).mean()


def mfca_loss(coded: Coded, image: Tensor, level: Tensor) -> Tensor:
    """The paper's loss of mfca: L1 + 0.1 MSE + 0.01 rate + 0.1 quantisation error of the latents."""
    absolute = torch.abs(coded.image - image).mean(dim=(1, 2, 3))
    distortion = absolute + 0.1 * squared_error(coded, image)
    rounding = [(torch.round(values) - values).square().mean() for values in coded.symbols.values()]
    return (_relative(level) * distortion + 0.01 * coded.bpp).mean() + 0.1 * torch.stack(rounding).mean()


def fera_loss(coded: Coded, image: Tensor, level: Tensor) -> Tensor:
    """The paper's loss of fera: MSE with regularised latents; the rate is what a codec needs besides."""
    size = [values.square().mean(dim=(1, 2, 3)) for values in coded.latents.values()]
    penalty = 1e-6 * torch.stack(size).sum(0)
    return (_relative(level) * squared_error(coded, image) + penalty + 1.5e-3 * coded.bpp).mean()


def aara_loss(coded: Coded, image: Tensor, level: Tensor) -> Tensor:
    """The paper's loss of aara: MSE + MS-SSIM + lambda rate."""
    distortion = squared_error(coded, image) + 0.1 * (1 - ms_ssim(coded.image, image))
    return (_relative(level) * distortion + 5e-3 * coded.bpp).mean()


def mrdcae_loss(coded: Coded, image: Tensor, level: Tensor) -> Tensor:
    """The paper's loss of mrdcae: MSE for smooth patches, SSIM and edges for textured ones."""
    textured = is_textured(image)
    smooth = _patches((coded.image - image).square())
    structure = _patches(0.05 * (1 - ssim(coded.image, image))) + _patches(gradient_error(coded.image, image))
    distortion = torch.where(textured, structure, smooth).mean(dim=(1, 2, 3))
    return (_relative(level) * distortion + 3e-3 * coded.bpp).mean()


PAPER: Mapping[str, Loss] = {
    "mfca": mfca_loss,
    "fera": fera_loss,
    "aara": aara_loss,
    "mrdcae": mrdcae_loss,
}


def loss_of(codec: str, preset: str) -> Loss:
    """The loss of a preset of a codec."""
    return rate_distortion if preset == "rd" else PAPER[codec]


def squared_error(coded: Coded, image: Tensor) -> Tensor:
    """Mean squared error of each picture, pixels 0 to 1: [n]."""
    return (coded.image - image).square().mean(dim=(1, 2, 3))


def is_textured(image: Tensor) -> Tensor:
    """Whether a patch of 32 x 32 pixels is textured: its luma's standard deviation is above 16 levels of 255."""
    luma = image.mean(dim=1, keepdim=True)
    variance = functional.avg_pool2d(luma.square(), _PATCH) - functional.avg_pool2d(luma, _PATCH).square()
    return variance > (16 / 255) ** 2


def _patches(error: Tensor) -> Tensor:
    return functional.avg_pool2d(error.mean(dim=1, keepdim=True), _PATCH)


def _relative(level: Tensor) -> Tensor:
    return tradeoff(level) / tradeoff(torch.full_like(level, _MIDDLE))
