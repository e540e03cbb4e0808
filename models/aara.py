"""aara: adaptive attention and residual autoencoder: a main branch for structure, a second one for what it misses.

Boddu, Mandal: CBAM on both encoders, two latents, learned residual summation.

    x [3, H, W] --main encoder, CBAM--> y [96, H/16] --gain, round--> coded
                                          '--main decoder--> x^_main
    r = x - x^_main --residual encoder, CBAM--> y_r [128, H/16] --gain, round--> coded

    y^ --main decoder--> x^_main, features
    y_r^ --residual decoder--> r^, features --> fusion: x^ = x^_main + r^ + f(x^_main, r^, features)

    encoder   space-to-depth 4, 3x3 --> [48, H/4] CBAM --5x5/2--> [96, H/8] residual, CBAM --5x5/2--> [128, H/16]
    decoder   3x3, depth-to-space --> [80, H/8] residual --3x3, depth-to-space--> [48, H/4] residual --> pixels
    each with a linear path of 16x16 blocks beside it: the lower frequencies for y, the higher ones for y_r

The analysis graph holds rounding and main decoder, so that r is what the decoder will miss. Loss of the paper:
MSE + MS-SSIM + lambda rate. What differs: attention is by cells (`farlook.models.attention`); the linear path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.models.attention import CBAM
from farlook.models.blocks import LinearPath, Residual, Upsample, activation, conv, silent
from farlook.models.gains import ByLevel
from farlook.models.neural import LatentSpec, NeuralCodec
from farlook.models.quantise import round_through

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN, EXTRA = 96, 128


@dataclass(frozen=True)
class AaraConfig:
    """The mechanisms that can be switched off for an ablation.

    Args:
        attention: CBAM in both encoders.
        residual: The residual branch, with its latent.
        fusion: The convolutional fusion; else the plain sum of both pictures.
    """

    attention: bool = True
    residual: bool = True
    fusion: bool = True


class Encoder(nn.Module):
    """One branch's encoder: [3, H, W] to [latents, H/16, W/16]."""

    def __init__(self, latents: int, first: int, *, attention: bool) -> None:
        super().__init__()
        self.linear = LinearPath(latents, first=first)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4), conv(48, 48, 3), activation(), _attention(48, 4, attention),
            conv(48, 96, 5, 2), activation(), Residual(96), _attention(96, 8, attention),
            conv(96, 128, 5, 2), activation(), silent(conv(128, latents, 1)),
        )  # fmt: skip

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pixels around zero."""
        latent: Tensor = self.linear.analyse(pixels) + self.layers(pixels)
        return latent


class Decoder(nn.Module):
    """One branch's decoder: a latent to pixels [3, H, W] and features [48, H/4, W/4]."""

    def __init__(self, latents: int, first: int) -> None:
        super().__init__()
        self.linear = LinearPath(latents, first=first)
        self.layers = nn.Sequential(Upsample(latents, 80), activation(), Residual(80), Upsample(80, 48))
        self.from_linear, self.by_level = conv(48, 48, 1), ByLevel(48)
        self.refine = nn.Sequential(activation(), Residual(48))
        self.last = silent(conv(48, 48, 3))

    def forward(self, latent: Tensor, normal: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Decode a latent, given at its `normal` scale too, to pixels around zero and features."""
        linear = self.linear.synthesise(latent)
        features = self.layers(normal) + self.from_linear(functional.pixel_unshuffle(linear, 4))
        features = self.refine(self.by_level(features, level))
        return linear + functional.pixel_shuffle(self.last(features), 4).float(), features


class Aara(NeuralCodec):
    """See the module's text."""

    name: ClassVar[str] = "aara"

    def __init__(self, config: AaraConfig | None = None) -> None:
        config = config or AaraConfig()
        super().__init__([LatentSpec("y", MAIN), *([LatentSpec("y_r", EXTRA)] if config.residual else [])])
        self.config = config
        self.main_encoder = Encoder(MAIN, 0, attention=config.attention)
        self.main_decoder = Decoder(MAIN, 0)
        if config.residual:
            self.residual_encoder = Encoder(EXTRA, MAIN, attention=config.attention)
            self.residual_decoder = Decoder(EXTRA, MAIN)
            if config.fusion:
                self.fusion = nn.Sequential(
                    conv(2 * 48 + 2 * 48, 64, 1), activation(), Residual(64), silent(conv(64, 48, 3)),
                    nn.PixelShuffle(4),
                )  # fmt: skip

    def analyse(self, image: Tensor, level: Tensor, gains: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NeuralCodec.analyse`."""
        centred = image - 0.5
        y = self.scaled("y", self.main_encoder(centred), gains)
        if not self.config.residual:
            return {"y": y}
        decoded = round_through(y) * self.inverse_gain("y", level)
        main, _ = self.main_decoder(decoded, self.normal("y", decoded), level)
        return {"y": y, "y_r": self.scaled("y_r", self.residual_encoder(centred - main), gains)}

    def synthesise(self, latents: Mapping[str, Tensor], level: Tensor) -> Tensor:
        """See `NeuralCodec.synthesise`."""
        main, features = self.main_decoder(latents["y"], self.normal("y", latents["y"]), level)
        image: Tensor = main + 0.5
        if self.config.residual:
            normal = self.normal("y_r", latents["y_r"])
            extra, details = self.residual_decoder(latents["y_r"], normal, level)
            image = image + extra
            if self.config.fusion:
                pictures = [functional.pixel_unshuffle(part, 4) for part in (main, extra)]
                image = image + self.fusion(torch.cat((*pictures, features, details), dim=1)).float()
        return image


def _attention(channels: int, stride: int, enabled: bool) -> nn.Module:
    return CBAM(channels, stride) if enabled else nn.Identity()
