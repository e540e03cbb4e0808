"""The ground's decoder of block8: a residual network on top of the linear decoder, at two scales.

    latents, step, lost --.                              8x8 blocks
    picture --DCT 8x8 ----+--conv--[residual blocks]--+--conv--> low frequencies * step, IDCT --.
                                                      |                                         |
    picture --2x2 pixels------------------------------+--conv--[residual blocks]--conv--> * step + picture

What is wide works on the grid of 8x8 blocks, says what is around and fills in what is lost; what is fine works on
2x2 pixels. Everything
is measured in steps, so that one network serves all qualities: what it gives is a correction in steps, and it
begins as no correction at all.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.errors import MissingExtraError, UsageError

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 8
LATENTS = 64
FINE = 2
"""Pixels along the side of a position of the fine scale."""
CHROMA = 4
"""Frequencies of chroma each way: of 4:2:0 there are no more."""

_SPECTRUM = BLOCK * BLOCK + 2 * CHROMA * CHROMA
_STATE = 4
_PLANES = FINE * FINE + 2
_LOW = (4, 2, 2)
"""Frequencies each way of Y, Cb and Cr that the wide scale corrects by itself."""
_HINTS = 16
"""Channels by which the wide scale tells the fine one what is around."""
_UP = BLOCK // FINE

_UNIT = 4.0
"""Latents are four times the coefficients of an orthonormal DCT."""
_CLAMP = 2.0
_MEAN = 1024.0
_QUIET = 0.3
"""Residual blocks begin with little to say."""
_CORRECTION = 0.25

_LUMA = (0.299, 0.587, 0.114)
_RED, _BLUE = 1.402, 1.772


@dataclass(frozen=True)
class GroundConfig:
    """A network's size.

    Args:
        width: Channels of the fine scale.
        depth: Its residual blocks, of two 3x3 convolutions each.
        wide: Channels of the wide scale.
        wide_depth: Its residual blocks.

    Raises:
        UsageError: A number is below 1.
    """

    width: int = 32
    depth: int = 2
    wide: int = 96
    wide_depth: int = 2

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.wide, self.wide_depth) < 1:
            raise UsageError(f"widths and depths must be at least 1, not {self}")


SIZES = {"fast": GroundConfig(), "best": GroundConfig(width=48, depth=4, wide=128, wide_depth=4)}


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, width, rows, columns], twice."""
        out: Tensor = x + self.second(torch.relu(self.first(x)))
        return out


class GroundDecoder(nn.Module):
    """The network.

    Args:
        config: Its size.
    """

    spectrum: Tensor
    to_luma: Tensor
    to_rgb: Tensor
    waves: Tensor
    scale: Tensor

    def __init__(self, config: GroundConfig) -> None:
        super().__init__()
        self.config = config
        for name, constant in _constants().items():
            self.register_buffer(name, constant, persistent=False)
        self.wide_head = nn.Conv2d(_SPECTRUM + LATENTS - 1 + _STATE, config.wide, 3, padding=1)
        self.wide_body = nn.Sequential(*(ResidualBlock(config.wide) for _ in range(config.wide_depth)))
        self.wide_tail = nn.Conv2d(config.wide, sum(side * side for side in _LOW), 1)
        self.hints = nn.Conv2d(config.wide, _HINTS * _UP * _UP, 1)
        self.head = nn.Conv2d(_PLANES + _HINTS, config.width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(config.width) for _ in range(config.depth)))
        self.tail = nn.Conv2d(config.width, 3 * FINE * FINE, 3, padding=1)
        self._start()

    def _start(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]  # there is one
                with torch.no_grad():
                    module.weight.mul_(
                        0.0 if name.endswith("tail") else _QUIET if name.endswith("second") else 1.0
                    )

    def forward(self, image: Tensor, latents: Tensor, step: Tensor, lost: Tensor) -> Tensor:
        """Improve the linear decoder's picture.

        Args:
            image: Its RGB, 0 to 255, [n, 3, h, w], sides multiples of 8; a grey picture three times.
            latents: `runtime.block8.latents.luma_latents`, [n, 64, h / 8, w / 8].
            step: Luma's step of each block, in levels of an orthonormal DCT, [n, 1, h / 8, w / 8].
            lost: 1 where a block was concealed, else 0; of the same shape.

        Returns:
            RGB, not held within 0 to 255; of a grey picture its luma counts.
        """
        with torch.autocast(image.device.type, enabled=False):
            centred = image - 128.0
            wide = self._wide_features(centred, latents, step, lost)
            steps = functional.interpolate(step, scale_factor=_UP, mode="nearest")
            fine = self._fine_features(centred, steps)
        wide = torch.relu(self.wide_body(self.wide_head(wide)))
        hints = functional.pixel_shuffle(self.hints(wide), _UP)
        change = self.tail(torch.relu(self.body(self.head(torch.cat([fine, hints], 1)))))
        low = self.wide_tail(wide)
        with torch.autocast(image.device.type, enabled=False):
            planes = functional.pixel_shuffle(change.float() * steps * _CORRECTION, FINE)
            waves = functional.conv2d(low.float() * step, self.waves)
            return image + functional.conv2d(planes, self.to_rgb) + functional.pixel_shuffle(waves, BLOCK)

    def _wide_features(self, centred: Tensor, latents: Tensor, step: Tensor, lost: Tensor) -> Tensor:
        """What is known of blocks: spectrum, levels and state, [n, 163, h / 8, w / 8]."""
        spectrum = functional.conv2d(centred, self.spectrum, stride=BLOCK)
        mean = spectrum[:, :1]
        levels = latents[:, 1:] / (_UNIT * step)
        count = (levels.abs() > 0.5).to(levels.dtype).sum(1, keepdim=True) / 16.0
        parts = [
            (mean - _smooth(mean)) / step,
            spectrum[:, 1:] / step,
            levels.clamp(-_CLAMP, _CLAMP),
            mean / _MEAN,
            torch.log2(step) / 4.0 - 1.25,
            count,
            lost,
        ]
        return torch.cat(parts, 1) * self.scale

    def _fine_features(self, centred: Tensor, steps: Tensor) -> Tensor:
        """Luma's 2x2 pixels and chroma's means, less those around, in steps: [n, 6, h / 2, w / 2]."""
        planes = functional.conv2d(centred, self.to_luma, stride=FINE)
        means = _smooth(functional.avg_pool2d(planes, _UP))
        around = functional.interpolate(means, scale_factor=_UP, mode="bilinear", align_corners=False)
        luma, chroma = FINE * FINE, _PLANES - FINE * FINE
        level = around[:, :luma].mean(1, keepdim=True)
        return (planes - torch.cat([level.repeat(1, luma, 1, 1), around[:, -chroma:]], 1)) / steps

    def take_over(self, smaller: GroundDecoder) -> None:
        """Begin as a network that is nowhere wider or deeper: what is new says nothing to what is old.

        Args:
            smaller: Whose weights are taken.

        Raises:
            UsageError: It is wider or deeper than this one.
        """
        ours, theirs = asdict(self.config), asdict(smaller.config)
        if any(ours[name] < theirs[name] for name in ours):
            raise UsageError(f"weights of {smaller.config} do not fit into {self.config}: it is smaller")
        old = smaller.state_dict()
        with torch.no_grad():
            for name, weights in self.named_parameters():
                if name in old:
                    rows, *others = old[name].shape
                    weights[:rows] = 0.0
                    weights[(slice(rows), *(slice(length) for length in others))] = old[name]
                elif ".second." in name:  # of a block that was not there
                    weights.zero_()

    def reach(self) -> int:
        """How far the network looks in pixels, rounded up to blocks: so much halo a window needs."""
        wide = 2 + 2 * self.config.wide_depth  # smooth means, the head, the residual blocks
        fine = 2 + 2 * self.config.depth
        return BLOCK * (wide + -(-fine * FINE // BLOCK))

    def macs(self) -> float:
        """Multiplications a pixel, those of the fixed transforms included."""
        total = float(
            (self.spectrum.numel() + self.waves.numel()) / BLOCK**2
            + self.to_luma.numel() / FINE**2
            + self.to_rgb.numel()
        )
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d):
                side = BLOCK if name.startswith(("wide", "hints")) else FINE
                total += module.weight.numel() / side**2
        return total


def _smooth(x: Tensor) -> Tensor:
    """Means of 3x3."""
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _constants() -> dict[str, Tensor]:
    """The fixed transforms, and what brings features to about the same size."""
    luma = np.array(_LUMA)
    blue, red = (np.array([0, 0, 1.0]) - luma) / _BLUE, (np.array([1.0, 0, 0]) - luma) / _RED
    scale = np.concatenate(
        [[0.7], np.full(63, 3.0), np.full(32, 2.0), np.full(63, 3.0), [2.0, 3.0, 3.0, 1.0]]
    )
    to_rgb = [[1, 0, _RED], [1, -_BLUE * luma[2] / luma[1], -_RED * luma[0] / luma[1]], [1, _BLUE, 0]]
    arrays = {
        "spectrum": _spectrum(luma, blue, red),
        "to_luma": _fine_planes(luma, blue, red),
        "to_rgb": np.array(to_rgb)[:, :, None, None],
        "waves": _waves(np.array(to_rgb)),
        "scale": scale[None, :, None, None],
    }
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}


def _spectrum(*weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB blocks to an orthonormal DCT's coefficients of Y, and the lowest of Cb and Cr: [96, 3, 8, 8]."""
    basis = _basis()
    sides = (BLOCK, CHROMA, CHROMA)
    kernels = [np.einsum("c,uvyx->uvcyx", w, basis[:s, :s]) for w, s in zip(weights, sides, strict=True)]
    return np.concatenate([kernel.reshape(-1, 3, BLOCK, BLOCK) for kernel in kernels])


def _waves(to_rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low frequencies of Y, Cb and Cr to RGB blocks, as channels for depth-to-space: [192, 24, 1, 1]."""
    basis = _basis()
    parts = [
        np.einsum("c,uvyx->cyxuv", to_rgb[:, plane], basis[:side, :side]).reshape(3 * BLOCK * BLOCK, -1)
        for plane, side in enumerate(_LOW)
    ]
    return np.concatenate(parts, axis=1)[:, :, None, None]


def _basis() -> NDArray[np.float64]:
    """The orthonormal DCT's pictures of 8x8 pixels: [u, v, y, x]."""
    k, n = np.mgrid[0:BLOCK, 0:BLOCK]
    dct = np.cos(math.pi * k * (2 * n + 1) / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    dct[0] /= math.sqrt(2)
    return np.asarray(np.einsum("uy,vx->uvyx", dct, dct))


def _fine_planes(
    luma: NDArray[np.float64], blue: NDArray[np.float64], red: NDArray[np.float64]
) -> NDArray[np.float64]:
    """RGB to Y of 2x2 pixels, and the means of Cb and Cr, twice as large: [6, 3, 2, 2]."""
    kernels = np.zeros((_PLANES, 3, FINE, FINE))
    for place in range(FINE * FINE):
        kernels[place, :, place // FINE, place % FINE] = luma
    for plane, weights in enumerate((blue, red), start=FINE * FINE):
        kernels[plane] = 2 * weights[:, None, None] / FINE**2
    return kernels
