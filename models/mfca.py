"""mfca: multi-frequency channel attention with parallel multi-scale convolution and a coded importance map.

Pothireddy, Poojita: encoder of PMCN stages, importance map, PQF, light decoder.

    image [3, H, W] --------- linear path, 16x16 blocks --------------------------------.
      `-space-to-depth 4, 3x3 conv--> [64, H/4] PMCN -5x5/2-> [128, H/8] PMCN -5x5/2-> [192, H/16] PMCN
              ,-------------------------------------------------------------------------'    |
              |                    .-- importance: conv, sigmoid, rounded to 0..7 [1, H/16] -+--> coded
              '--plus 1x1 conv--> y [192, H/16] --gain, round, keep first table[importance]--'--> coded

    y^ [192, H/16] --PQF--+--3x3, depth-to-space--> [96, H/8] PMCN --3x3, depth-to-space--> [48, H/4]
    importance -----'     '--linear path, 16x16 blocks--> picture --space-to-depth 4, 1x1 -----' plus
                                                            '---plus <--depth-to-space 4-- 3x3 <-- Residual

"Encoder heavy, decoder light": one PMCN stage in the decoder, three in the encoder. Losses of the paper: see
`farlook.models.losses`. What differs: strided and transposed convolutions come as 5x5 at stride 2 and as
convolution with depth-to-space; attention is by cells (`farlook.models.attention`); the linear path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.models.blocks import LinearPath, Residual, Upsample, activation, conv, silent
from farlook.models.gains import ByLevel
from farlook.models.importance import Importance
from farlook.models.neural import Gate, LatentSpec, NeuralCodec
from farlook.models.pmcn import PMCN

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = (4, 12, 24, 44, 72, 108, 148, 192)
"""Channels that an importance of 0 to 7 keeps."""


@dataclass(frozen=True)
class MfcaConfig:
    """Widths, and the mechanisms that can be switched off for an ablation.

    Args:
        mfca: Multi-frequency channel attention.
        pmcn: Parallel kernels; else plain 3x3 convolutions.
        importance: The coded importance map.
        pqf: The post-quantisation filter.
    """

    mfca: bool = True
    pmcn: bool = True
    importance: bool = True
    pqf: bool = True


class PQF(nn.Module):
    """Post-quantisation filter: two convolutions with a ReLU between, added to the dequantised latent."""

    def __init__(self, channels: int, side: int, hidden: int) -> None:
        super().__init__()
        self.first = conv(channels + side, hidden, 3)
        self.second = silent(conv(hidden, channels, 3))

    def forward(self, latent: Tensor, normal: Tensor, side: Tensor) -> Tensor:
        """Filter [n, C, h, w], seen at its `normal` scale, with a map beside it."""
        changed = self.second(torch.relu(self.first(torch.cat((normal, side), dim=1))))
        result: Tensor = latent + changed
        return result


class Mfca(NeuralCodec):
    """See the module's text."""

    name: ClassVar[str] = "mfca"

    def __init__(self, config: MfcaConfig | None = None) -> None:
        config = config or MfcaConfig()
        gate = Gate("importance", KEPT) if config.importance else None
        latents = [LatentSpec("y", 192, gate=gate)]
        if gate is not None:
            latents.insert(0, LatentSpec("importance", 1, values=len(KEPT)))
        super().__init__(latents)
        self.config = config
        options = {"parallel": self.config.pmcn, "attention": self.config.mfca}
        self.linear_in, self.linear_out = LinearPath(192), LinearPath(192)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4), conv(48, 64, 3), activation(),
            PMCN(64, 4, **options), conv(64, 128, 5, 2), activation(),
            PMCN(128, 8, **options), conv(128, 192, 5, 2), activation(),
            PMCN(192, 16, **options),
        )  # fmt: skip
        self.to_latent = silent(conv(192, 192, 1))
        if gate is not None:
            self.importance = Importance(192, len(KEPT))
        if self.config.pqf:
            self.pqf = PQF(192, int(gate is not None), 64)
        self.decoder = nn.Sequential(
            Upsample(192, 96), activation(), PMCN(96, 8, **options), Upsample(96, 48)
        )
        self.from_linear, self.by_level = conv(48, 48, 1), ByLevel(48)
        self.last = nn.Sequential(activation(), Residual(48), silent(conv(48, 48, 3)), nn.PixelShuffle(4))

    def analyse(self, image: Tensor, level: Tensor, gains: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NeuralCodec.analyse`."""
        centred = image - 0.5
        features = self.encoder(centred)
        y = self.linear_in.analyse(centred) + self.to_latent(features)
        found = {"importance": self.importance(features, level)} if self.config.importance else {}
        return {**found, "y": self.scaled("y", y, gains)}

    def synthesise(self, latents: Mapping[str, Tensor], level: Tensor) -> Tensor:
        """See `NeuralCodec.synthesise`."""
        y = latents["y"]
        if self.config.pqf:
            side = latents["importance"] * (1 / 7) if self.config.importance else y[:, :0]
            y = self.pqf(y, self.normal("y", y), side)
        linear = self.linear_out.synthesise(y)
        features = self.decoder(self.normal("y", y))
        features = features + self.from_linear(functional.pixel_unshuffle(linear, 4))
        image: Tensor = linear + self.last(self.by_level(features, level)).float() + 0.5
        return image
