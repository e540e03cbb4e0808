"""mrdcae: multi-resolution deep convolutional autoencoder, whose patches get as much of the code as they deserve.

Patch saliency, three encoder pathways (structure, texture, edges), allocation by patch, a decoder that fuses.

    image --space-to-depth 4, convolutions, mean of each 32x32 patch, sigmoid--> saliency, rounded to 0..7
    image --mean of 2x2--> [96, H/8] ------------------> low    [64, H/16]   always coded
    image --> [64, H/4] --> [128, H/8] ----------------> medium [64, H/16]   the first MEDIUM[saliency] coded
    image minus its blur --> [48, H/4] --> [64, H/8] --> high   [64, H/16]   the first HIGH[saliency] coded

    low^, medium^, high^, saliency --3x3, depth-to-space--> [128, H/8] --> [64, H/4] --> residual layers --> image

The saliency map is coded, and channels that it closes are not: that is how allocation saves bits. Each pathway
has a linear path of 16x16 blocks beside it, for the lowest, middle and highest frequencies. Loss of the paper:
MSE on smooth patches, SSIM and edges on textured ones (`farlook.models.losses`). "Several quality levels" are
the levels of the gains. Training pictures change in brightness, contrast and gamma besides flips and turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.models.blocks import LinearPath, Residual, Upsample, activation, conv, silent
from farlook.models.gains import ByLevel
from farlook.models.importance import level_bias, to_map
from farlook.models.neural import Gate, LatentSpec, NeuralCodec

if TYPE_CHECKING:
    from collections.abc import Mapping

PATCH = 32
WIDTH = 64
MEDIUM = (0, 4, 12, 24, 40, 56, 64, 64)
HIGH = (0, 0, 2, 6, 14, 28, 48, 64)
"""Channels of the pathways that a saliency of 0 to 7 keeps."""

_NAMES = ("low", "medium", "high")


@dataclass(frozen=True)
class MrdcaeConfig:
    """The mechanisms that can be switched off for an ablation.

    Args:
        saliency: The coded saliency map with its allocation; else all patches get the whole code.
        pathways: Three different pathways; else all three see the whole picture.
        illumination: Changes of light in training.
    """

    saliency: bool = True
    pathways: bool = True
    illumination: bool = True


class Saliency(nn.Module):
    """A convolutional attention module that gives each patch a score of 0 to 7, not rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.PixelUnshuffle(4), conv(48, 32, 3), activation(), conv(32, 32, 3, 2), activation()
        )
        self.score = nn.Sequential(conv(64, 32, 1), activation(), silent(conv(32, 1, 1)))
        self.by_level = level_bias()

    def forward(self, image: Tensor, level: Tensor) -> Tensor:
        """Score [n, 3, H, W]: [n, 1, H/32, W/32]."""
        features = self.features(image)
        patches = (functional.avg_pool2d(features, PATCH // 8), functional.max_pool2d(features, PATCH // 8))
        score = self.score(torch.cat(patches, dim=1))
        return to_map(score, self.by_level, level, len(MEDIUM))


class Pathway(nn.Module):
    """One encoder: space-to-depth, a convolution, then halvings down to [64, H/16, W/16].

    Args:
        factor: Of the space-to-depth.
        widths: Channels after it and after each halving but the last.
        first: Where the linear path's frequencies begin.
    """

    def __init__(self, factor: int, widths: tuple[int, ...], first: int) -> None:
        super().__init__()
        self.linear = LinearPath(WIDTH, first=first)
        layers: list[nn.Module] = [nn.PixelUnshuffle(factor), conv(3 * factor**2, widths[0], 3)]
        for width, after in pairwise(widths):
            layers += [activation(), Residual(width), conv(width, after, 5, 2)]
        layers += [activation(), Residual(widths[-1]), conv(widths[-1], 128, 3, 2), activation()]
        self.layers = nn.Sequential(*layers, silent(conv(128, WIDTH, 1)))

    def forward(self, seen: Tensor, image: Tensor) -> Tensor:
        """Encode what this pathway sees of the picture; the linear path sees all of it."""
        latent: Tensor = self.linear.analyse(image) + self.layers(seen)
        return latent


class Mrdcae(NeuralCodec):
    """See the module's text."""

    name: ClassVar[str] = "mrdcae"

    def __init__(self, config: MrdcaeConfig | None = None) -> None:
        config = config or MrdcaeConfig()
        gates = (None, MEDIUM, HIGH) if config.saliency else (None, None, None)
        latents = [
            LatentSpec(name, WIDTH, gate=None if table is None else Gate("saliency", table))
            for name, table in zip(_NAMES, gates, strict=True)
        ]
        if config.saliency:
            latents.insert(0, LatentSpec("saliency", 1, stride=PATCH, values=len(MEDIUM)))
        super().__init__(latents)
        self.config = config
        if config.saliency:
            self.saliency = Saliency()
        low = Pathway(4, (96,), 0) if config.pathways else Pathway(8, (96,), 0)
        self.encoders = nn.ModuleList((low, Pathway(4, (64, 128), WIDTH), Pathway(4, (48, 64), 2 * WIDTH)))
        self.linear_out = LinearPath(3 * WIDTH)
        self.fuse = nn.Sequential(
            Upsample(3 * WIDTH + int(config.saliency), 128), activation(), Residual(128), Upsample(128, 64)
        )
        self.from_linear, self.by_level = conv(48, 64, 1), ByLevel(64)
        self.last = nn.Sequential(
            activation(), Residual(64), Residual(64), silent(conv(64, 48, 3)), nn.PixelShuffle(4)
        )

    def analyse(self, image: Tensor, level: Tensor, gains: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NeuralCodec.analyse`."""
        centred = image - 0.5
        found = {"saliency": self.saliency(centred, level)} if self.config.saliency else {}
        for name, encoder, seen in zip(_NAMES, self.encoders, self._views(centred), strict=True):
            found[name] = self.scaled(name, encoder(seen, centred), gains)
        return found

    def synthesise(self, latents: Mapping[str, Tensor], level: Tensor) -> Tensor:
        """See `NeuralCodec.synthesise`."""
        linear = self.linear_out.synthesise(torch.cat([latents[name] for name in _NAMES], dim=1))
        parts = [self.normal(name, latents[name]) for name in _NAMES]
        if self.config.saliency:
            patches = latents["saliency"] * (1 / (len(MEDIUM) - 1))
            parts.append(functional.interpolate(patches, scale_factor=PATCH / 16, mode="nearest"))
        features = self.fuse(torch.cat(parts, dim=1))
        features = features + self.from_linear(functional.pixel_unshuffle(linear, 4))
        image: Tensor = linear + self.last(self.by_level(features, level)).float() + 0.5
        return image

    def augment(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Change the light of half of the pictures: gamma, contrast, brightness."""
        if not self.config.illumination:
            return image
        drawn = torch.rand(4, len(image), 1, 1, 1, generator=generator).to(image.device)
        gamma, contrast, light = torch.exp(0.6 * drawn[0] - 0.3), 0.7 + 0.6 * drawn[1], 0.2 * drawn[2] - 0.1
        changed = ((image.clamp_min(1e-4) ** gamma - 0.5) * contrast + 0.5 + light).clamp(0, 1)
        return torch.where(drawn[3] < 0.5, changed, image)

    def _views(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the three pathways see: structure at half the size, everything, edges."""
        if not self.config.pathways:
            return image, image, image
        edges = image - functional.avg_pool2d(image, 5, 1, 2, count_include_pad=False)
        return functional.avg_pool2d(image, 2), image, edges
