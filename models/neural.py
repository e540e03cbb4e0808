"""What the four neural codecs have in common: latents with gains, priors and gates, trained for all rates.

    image --analyse(gains, level)--> latents --round--> symbols --inverse gains--> synthesise --> image
                                        `--noise--> bits by the factorised priors (training)

A codec of one file (`farlook.models.mfca` and so on) gives the two networks and says which latents they have.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.models.entropy_bottleneck import EntropyBottleneck, MapPrior
from farlook.models.gains import ANCHORS, LEVELS, Gains, anchor_weights
from farlook.models.quantise import add_noise, round_through, shrink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STRIDE = 32
"""Pictures are padded to a multiple of this; no codec pads inside."""

_DEAD_ZONE = 0.08
_RAMP = 6


@dataclass(frozen=True)
class Gate:
    """Which channels of a latent are coded where: the first `table[v]` where the map `by` is v."""

    by: str
    table: tuple[int, ...]


@dataclass(frozen=True)
class LatentSpec:
    """One coded tensor.

    Args:
        name: Of the graphs' output and input.
        channels: 1 for a map.
        stride: Pixels along a side of one position.
        gate: A map that comes before it; None where all channels are coded everywhere.
        values: For a map, how many values it has, from 0; 0 for a latent with gains.
    """

    name: str
    channels: int
    stride: int = 16
    gate: Gate | None = None
    values: int = 0


@dataclass(frozen=True)
class Coded:
    """What a codec made of a batch.

    Args:
        image: [n, 3, H, W], not clipped.
        bits: Of each latent, by name: [n].
        latents: As the synthesis got them.
        symbols: Before rounding, as the analysis gave them.
    """

    image: Tensor
    bits: Mapping[str, Tensor]
    latents: Mapping[str, Tensor]
    symbols: Mapping[str, Tensor]

    @property
    def bpp(self) -> Tensor:
        """Bits per pixel of each picture, [n]."""
        return torch.stack(tuple(self.bits.values())).sum(0) / (self.image.shape[-1] * self.image.shape[-2])


class NeuralCodec(nn.Module):
    """Base of the four codecs; a subclass makes its networks after calling `__init__`.

    Args:
        latents: In the order in which they are coded.
    """

    name: ClassVar[str]
    config: Any

    def __init__(self, latents: Sequence[LatentSpec]) -> None:
        super().__init__()
        self.latents = tuple(latents)
        gained = [latent for latent in latents if not latent.values]
        self.gains = nn.ModuleDict({latent.name: Gains(latent.channels) for latent in gained})
        self.priors = nn.ModuleDict({latent.name: EntropyBottleneck(latent.channels) for latent in gained})
        self.dead_zones = nn.ParameterDict(
            {latent.name: torch.full((1, latent.channels, 1, 1), _DEAD_ZONE) for latent in gained}
        )
        self.scales = nn.ParameterDict(
            {latent.name: torch.ones(1, latent.channels, 1, 1) for latent in gained}
        )
        maps = [latent for latent in latents if latent.values]
        self.map_priors = nn.ModuleDict({each.name: MapPrior(each.values, ANCHORS) for each in maps})

    @abstractmethod
    def analyse(self, image: Tensor, level: Tensor, gains: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Encode.

        Args:
            image: [n, 3, H, W] of 0 to 1; sides are multiples of `STRIDE`.
            level: [n, 1, 1, 1] or [1, 1, 1, 1] of 0 to 1.
            gains: Forward gains by latent, [n or 1, C, 1, 1].

        Returns:
            What is to be rounded, by latent: gains and dead zones applied, maps in 0 to values - 1.
        """

    @abstractmethod
    def synthesise(self, latents: Mapping[str, Tensor], level: Tensor) -> Tensor:
        """Decode rounded latents, times their inverse gains, to [n, 3, H, W]."""

    def scaled(self, name: str, latent: Tensor, gains: Mapping[str, Tensor]) -> Tensor:
        """A latent times its gain, moved towards zero by its dead zone: what is rounded."""
        scaled: Tensor = shrink(latent.float() * gains[name], self.dead_zones[name])
        return scaled

    def normal(self, name: str, latent: Tensor) -> Tensor:
        """A dequantised latent at the scale that convolutions like."""
        normal: Tensor = latent * self.scales[name]
        return normal

    def forward(self, image: Tensor, level: Tensor, generator: torch.Generator | None = None) -> Coded:
        """Encode and decode; in training mode rates are of latents with noise, in eval mode of integers.

        Args:
            image: [n, 3, H, W] of 0 to 1.
            level: [n] of 0 to 1.
            generator: Of the noise.
        """
        pairs = {name: self._gain(name)(level) for name in self.gains}
        forward = {name: pair[0] for name, pair in pairs.items()}
        unrounded = self.analyse(image, level.reshape(-1, 1, 1, 1), forward)
        decoded: dict[str, Tensor] = {}
        bits: dict[str, Tensor] = {}
        for spec in self.latents:
            values = unrounded[spec.name]
            symbols = round_through(values)
            if spec.values:
                cost = self.map_priors[spec.name](values, anchor_weights(level))
            else:
                mask = self._mask(spec, unrounded)
                noisy = add_noise(values, generator) if self.training else symbols
                cost = self.priors[spec.name](noisy, forward[spec.name]) * mask
                symbols = symbols * mask * pairs[spec.name][1]
            decoded[spec.name] = symbols
            bits[spec.name] = cost.sum(dim=(1, 2, 3))
        return Coded(self.synthesise(decoded, level.reshape(-1, 1, 1, 1)), bits, decoded, unrounded)

    def _mask(self, spec: LatentSpec, unrounded: Mapping[str, Tensor]) -> Tensor:
        """Which channels of a latent are coded: ones and zeros that broadcast to it."""
        if spec.gate is None:
            return torch.ones((), device=unrounded[spec.name].device)
        values = unrounded[spec.gate.by]
        factor = unrounded[spec.name].shape[-1] // values.shape[-1]
        if factor > 1:
            values = functional.interpolate(values, scale_factor=float(factor), mode="nearest")
        return gate_mask(values, spec.gate.table, spec.channels)

    def forward_gains(self, level: Tensor) -> dict[str, Tensor]:
        """Forward gains of all latents at `level`: [n, C, 1, 1] each."""
        return {name: self._gain(name)(level)[0] for name in self.gains}

    def inverse_gain(self, name: str, level: Tensor) -> Tensor:
        """Inverse gains of one latent at `level`: [n, C, 1, 1]."""
        return self._gain(name).inverse(level)

    def symbols(self, image: Tensor, level: Tensor) -> dict[str, Tensor]:
        """What is coded of pictures at `level` [n]: whole numbers, as floats, gated channels zero."""
        unrounded = self.analyse(image, level.reshape(-1, 1, 1, 1), self.forward_gains(level))
        return {
            spec.name: torch.round(unrounded[spec.name]) * self._mask(spec, unrounded)
            for spec in self.latents
        }

    def augment(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Change training crops [n, 3, H, W] further than by flips and turns."""
        return image

    def start_at(self, image: Tensor) -> None:
        """Set priors and scales to the spread that latents have before training, on a batch of pictures."""
        ones = {spec.name: torch.ones(1, spec.channels, 1, 1) for spec in self.latents if not spec.values}
        with torch.no_grad():
            latents = self.analyse(image, torch.full((1, 1, 1, 1), 0.5), ones)
            for name, prior in self.priors.items():
                spread = latents[name].float().std(dim=(0, 2, 3))
                cast("EntropyBottleneck", prior).fit_scales(spread)
                self.scales[name].copy_(1 / (1 + spread)[:, None, None])

    def coding(self) -> dict[str, Any]:
        """Levels, stride and latents, for a manifest; see `docs/format.md`."""
        return {
            "levels": LEVELS,
            "stride": STRIDE,
            "latents": [self._describe(latent) for latent in self.latents],
        }

    def _gain(self, name: str) -> Gains:
        return cast("Gains", self.gains[name])

    def _describe(self, latent: LatentSpec) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "name": latent.name,
            "channels": latent.channels,
            "stride": latent.stride,
        }
        if not latent.values:
            fields["gains"] = self._gain(latent.name).tables()
        if latent.gate is not None:
            fields["gate"] = {"by": latent.gate.by, "table": list(latent.gate.table)}
        return fields


def gate_mask(values: Tensor, table: Sequence[int], channels: int) -> Tensor:
    """Ones for the channels that a map keeps, zeros for the others.

    The gradient is that of a ramp over a sixth of the channels, so that the map learns what it would save
    and what it would spoil.

    Args:
        values: [n, 1, h, w], not rounded.
        table: Channels kept at each value of the map.
        channels: Of the latent.

    Returns:
        [n, channels, h, w].
    """
    kept = torch.tensor(table, dtype=values.dtype, device=values.device)
    number = torch.arange(channels, dtype=values.dtype, device=values.device)[:, None, None] + 0.5
    low = values.detach().floor().clamp(0, len(table) - 2).long()
    start, end = kept[low], kept[low + 1]
    soft = torch.clamp((start + (end - start) * (values - low) - number) * (_RAMP / channels) + 0.5, 0, 1)
    hard = (kept[torch.round(values.detach()).long()] > number).to(values.dtype)
    return soft + (hard - soft).detach()
