"""fera: DCT of features, frequency-aware max pooling and a 64-wide bottleneck (DCT-RCF / FERA-Net).

Aher, Pande, Aher, Aware: residual encoder, DCT of feature maps, bottleneck, IDCT with residual refinement.

    image [3, H, W] --space-to-depth 2, 3x3 | 7x7--> F [16, H/2] --residual layers--> F
      F --8x8 DCT, LeakyReLU, max of 2x2 frequencies--> [16 x 16, H/16] --1x1--> [192, H/16]
      F --space-to-depth 2--> [64, H/4] --> [128, H/8] --> [192, H/16]  (multi-scale) --plus--'
        --residual layer, CBAM, dense 1x1, 1x1--> Z [4 x 64, H/16]   64 numbers for each 8x8 pixels
      image --linear path, 16x16 blocks--> plus Z --gain, round--> coded

    Z^ --dense--> [16 x 64, H/16] = 8x8 frequencies of 16 maps --IDCT--> R [16, H/2]
      I^ = s(W_d * R + b_d) + R
      Z^ --> [96, H/8] --> [64, H/4] (multi-scale) --plus I^ and the linear picture--> residual layers, CBAM
        --depth-to-space--> I^ [16, H/2] --residual layer, depth-to-space 2--> plus linear path --> image

Equations of the paper: F_n = s(W_n * F_{n-1} + b_n) + F_{n-1}; DCT T X T^t; refinement as above. What differs:
no skip from encoder to decoder (it would leak the picture); "size 64" is per 8x8 pixels, four such positions
coded together; the linear path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.kernels.dct_torch import dct2, idct2
from farlook.models.attention import CBAM
from farlook.models.blocks import LinearPath, Residual, Upsample, activation, conv, silent
from farlook.models.gains import ByLevel
from farlook.models.neural import LatentSpec, NeuralCodec
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK = 8
MAPS = 16
BOTTLENECK = 64
"""Numbers for each 8x8 pixels."""

_CODED = 4 * BOTTLENECK
_WIDE = 192


@dataclass(frozen=True)
class FeraConfig:
    """The mechanisms that can be switched off for an ablation.

    Args:
        dct: The DCT of features, its pooling and the IDCT in the decoder.
        multi_scale: Several kernels at first, and features of coarser resolutions.
        attention: CBAM in encoder and decoder.

    Raises:
        UsageError: Neither frequencies nor scales are left to encode.
    """

    dct: bool = True
    multi_scale: bool = True
    attention: bool = True

    def __post_init__(self) -> None:
        if not (self.dct or self.multi_scale):
            raise UsageError("fera needs dct or multi_scale")


class FrequencyMaxPool(nn.Module):
    """Frequency-aware max pooling: each frequency has a learned weight, then 2x2 neighbouring ones keep the largest.

    Args:
        maps: Feature maps, C.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, maps * BLOCK * BLOCK, 1, 1))

    def forward(self, spectrum: Tensor) -> Tensor:
        """Pool [n, C, h, w] of 8x8 blocks of frequencies: [n, 16 C, h/8, w/8]."""
        weighed = functional.pixel_unshuffle(spectrum, BLOCK) * self.weight
        height, width = weighed.shape[-2:]
        groups = weighed.reshape(weighed.shape[0], -1, 2, BLOCK // 2, 2, height * width)
        return groups.amax(dim=(2, 4)).reshape(weighed.shape[0], -1, height, width)


class Stem(nn.Module):
    """The first features, [16, H/2, W/2]: kernels of two sizes side by side, then residual layers."""

    def __init__(self, *, multi_scale: bool) -> None:
        super().__init__()
        kernels = (3, 7) if multi_scale else (3,)
        self.layers = nn.ModuleList(conv(12, MAPS // len(kernels), kernel) for kernel in kernels)
        self.rest = nn.Sequential(activation(), Residual(MAPS), Residual(MAPS))

    def forward(self, image: Tensor) -> Tensor:
        """See pixels around zero."""
        pixels = functional.pixel_unshuffle(image, 2)
        features: Tensor = self.rest(torch.cat([layer(pixels) for layer in self.layers], dim=1))
        return features


class FrequencyEncoder(nn.Module):
    """DCT of the features, LeakyReLU, frequency-aware max pooling, and a dense layer: [192, H/16, W/16]."""

    def __init__(self) -> None:
        super().__init__()
        self.activation, self.pool = activation(), FrequencyMaxPool(MAPS)
        self.dense = conv(MAPS * BLOCK * BLOCK // 4, _WIDE, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Transform [n, 16, H/2, W/2]."""
        pooled: Tensor = self.dense(self.pool(self.activation(dct2(features, BLOCK))))
        return pooled


class FrequencyDecoder(nn.Module):
    """Dense layer to 8x8 frequencies, IDCT, residual refinement: [16, H/2, W/2]."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = conv(_CODED, MAPS * BLOCK * BLOCK, 1)
        self.refine = Residual(MAPS)

    def forward(self, latent: Tensor) -> Tensor:
        """Transform [n, 256, H/16, W/16], at its normal scale."""
        spectrum = functional.pixel_shuffle(self.dense(latent), BLOCK)
        refined: Tensor = self.refine(idct2(spectrum, BLOCK))
        return refined


class Fera(NeuralCodec):
    """See the module's text."""

    name: ClassVar[str] = "fera"

    def __init__(self, config: FeraConfig | None = None) -> None:
        super().__init__([LatentSpec("z", _CODED)])
        self.config = config = config or FeraConfig()
        self.linear_in, self.linear_out = LinearPath(_CODED), LinearPath(_CODED)
        self.stem = Stem(multi_scale=config.multi_scale)
        if config.dct:
            self.frequencies_in, self.frequencies_out = FrequencyEncoder(), FrequencyDecoder()
        if config.multi_scale:
            self.scales_in = nn.Sequential(
                nn.PixelUnshuffle(2), conv(4 * MAPS, 64, 3), activation(), Residual(64),
                conv(64, 128, 5, 2), activation(), Residual(128), conv(128, _WIDE, 3, 2),
            )  # fmt: skip
            self.scales_out = nn.Sequential(
                conv(_CODED, 128, 1),
                activation(),
                Upsample(128, 96),
                activation(),
                Residual(96),
                Upsample(96, 64),
            )
        self.attention_in = CBAM(_WIDE, 16) if config.attention else nn.Identity()
        self.attention_out = CBAM(64, 4) if config.attention else nn.Identity()
        self.mix = nn.Sequential(activation(), Residual(_WIDE))
        self.bottleneck = nn.Sequential(conv(_WIDE, _WIDE, 1), activation(), silent(conv(_WIDE, _CODED, 1)))
        self.join, self.by_level = conv(48 + 4 * MAPS * int(config.dct), 64, 1), ByLevel(64)
        self.refine = nn.Sequential(activation(), Residual(64), Residual(64))
        self.grow = Upsample(64, MAPS)
        self.last = nn.Sequential(activation(), Residual(MAPS), silent(conv(MAPS, 12, 3)), nn.PixelShuffle(2))

    def analyse(self, image: Tensor, level: Tensor, gains: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NeuralCodec.analyse`."""
        centred = image - 0.5
        features = self.stem(centred)
        mixed = torch.stack([branch(features) for branch in self._branches()]).sum(0)
        dense = self.bottleneck(self.attention_in(self.mix(mixed)))
        return {"z": self.scaled("z", self.linear_in.analyse(centred) + dense, gains)}

    def synthesise(self, latents: Mapping[str, Tensor], level: Tensor) -> Tensor:
        """See `NeuralCodec.synthesise`."""
        linear = self.linear_out.synthesise(latents["z"])
        z = self.normal("z", latents["z"])
        coarse = functional.pixel_unshuffle(linear, 4)
        parts, fine = [coarse], None
        if self.config.dct:
            fine = self.frequencies_out(z)
            parts.append(functional.pixel_unshuffle(fine, 2))
        features = self.join(torch.cat(parts, dim=1))
        if self.config.multi_scale:
            features = features + self.scales_out(z)
        features = self.attention_out(self.refine(self.by_level(features, level)))
        grown = self.grow(features)
        image: Tensor = linear + self.last(grown if fine is None else grown + fine).float() + 0.5
        return image

    def _branches(self) -> list[nn.Module]:
        """What the bottleneck is fed by."""
        if self.config.dct and self.config.multi_scale:
            return [self.frequencies_in, self.scales_in]
        return [self.frequencies_in if self.config.dct else self.scales_in]
