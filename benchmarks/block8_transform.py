"""Would block8's transform be better if it were trained together with the decoder for the ground?

    python benchmarks/block8_transform.py --data ../shared/data/train

Four pairs of a transform and a small ground decoder are trained in the same way on grey crops: with and without the
lapped pre-filter, each fixed (as the C core has it) and trained end to end, with a learned reconstruction point of
every latent. Rate is an estimate: the entropy under a model of each latent given the blocks coded before, trained
along. Pairs are compared on pictures that were held out. Needs the [train] and [bench] extras.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from farlook.benchmarks.curves import Curve, bd_rate
from farlook.benchmarks.program import make_parser, positive, run_program
from farlook.benchmarks.report import figure, processor, table, write_text
from farlook.models.crops import load_pool
from farlook.models.ground import BLOCK, LATENTS, GroundConfig, GroundDecoder
from farlook.models.ground_training import held_out
from farlook.models.progress import progress_bars

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from farlook.models.crops import CropPool
    from farlook.models.progress import Report

NETWORK = GroundConfig(width=24, depth=1, wide=48, wide_depth=1)
STEPS = (13.0, 19.0, 28.0, 40.0, 57.0, 80.0, 115.0)
"""Quantiser steps that pairs are compared at, in levels."""

CROP, BATCH = 128, 8
CHECKED = 96
"""Held-out crops, each coded at every step."""

_LAMBDA = 0.11
"""Squared steps that a bit may cost: what the C core's quantiser decides by."""
_ROUNDING = 0.4
"""Latents are rounded down up to 1 - this: about what the C core's decisions come to."""
_DRAWN = (math.log2(9.0), math.log2(140.0))
_CONTEXT = 32
_LEAST_SCALE = 0.05
_HALF = 4
"""Samples each side of a border that lapping reaches."""

# What the pre-filter does to differences across a border, less the identity, halved: `b8_lap` of the C core.
_LAP = (
    (-885, 12411, 5050, 2905),
    (-9089, -1933, 9461, 2856),
    (1791, -6106, 1016, 5486),
    (-521, 55, -2163, 2393),
)

_HEAD = """# block8: a transform trained together with its decoder

Written by

    {command}

on {processor}. Each pair of a block transform and a small decoder for the ground ({macs:.1f} kMAC a pixel) was trained
from the same start for {steps} steps of {batch} grey crops of {crop}x{crop} pixels. *Fixed* is the transform that the C
core has; *trained* lets the 8x8 transform, the pre-filter and the reconstruction points learn with the decoder
(rounding passes gradients as if it were not there). Rates are estimates of an entropy model that is trained along: they
compare pairs with one another, not with other codecs. BD-rates from 0.05 to 0.5 bits a pixel on {checked} crops of
pictures that no pair was trained on, PSNR over all crops.
"""


class Transform(nn.Module):
    """A lapped block transform in one dimension after the other, and its exact inverse.

    Args:
        lapped: Whether a pre-filter acts across the borders of blocks.
        trained: Whether it learns.
    """

    def __init__(self, *, lapped: bool, trained: bool) -> None:
        super().__init__()
        n, k = torch.arange(BLOCK).float(), torch.arange(BLOCK).float()[:, None]
        dct = torch.cos(math.pi * k * (2 * n + 1) / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
        dct[0] /= math.sqrt(2)
        self.block = nn.Parameter(dct, requires_grad=trained)
        lap = torch.eye(_HALF) + 2 * torch.tensor(_LAP) / 2**15 if lapped else torch.eye(_HALF)
        self.lap = nn.Parameter(lap, requires_grad=trained and lapped)
        self.points = nn.Parameter(torch.full((LATENTS,), 0.05), requires_grad=trained)

    def border(self) -> Tensor:
        """The pre-filter over the 8 samples about a border: [8, 8]."""
        eye, none = torch.eye(_HALF), torch.zeros(_HALF, _HALF)
        flip = eye.flip(0)
        butterfly = torch.cat([torch.cat([flip, eye], 1), torch.cat([-flip, eye], 1)])
        middle = torch.cat([torch.cat([eye, none], 1), torch.cat([none, self.lap], 1)])
        filtered: Tensor = butterfly.T @ middle @ butterfly / 2
        return filtered

    def analyse(self, x: Tensor) -> Tensor:
        """Planes [n, h, w], sides multiples of 8, to latents [n, 64, h / 8, w / 8]."""
        border = self.border()
        for _ in range(2):
            x = self._along(_borders(x, border), self.block).transpose(1, 2)
        return functional.pixel_unshuffle(x[:, None], BLOCK)

    def synthesise(self, latents: Tensor) -> Tensor:
        """The inverse of `analyse`."""
        x = functional.pixel_shuffle(latents, BLOCK)[:, 0]
        border, block = torch.linalg.inv(self.border()), torch.linalg.inv(self.block)
        for _ in range(2):
            x = _borders(self._along(x, block), border).transpose(1, 2)
        return x

    @staticmethod
    def _along(x: Tensor, matrix: Tensor) -> Tensor:
        blocks = x.reshape(*x.shape[:2], -1, BLOCK)
        return (blocks @ matrix.T).flatten(2)


def _borders(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix to the 8 samples about each inner border of the rows."""
    inner = x[:, :, _HALF:-_HALF].reshape(*x.shape[:2], -1, BLOCK)
    return torch.cat([x[:, :, :_HALF], (inner @ matrix.T).flatten(2), x[:, :, -_HALF:]], 2)


class Rate(nn.Module):
    """Bits of latents: each a discrete Laplacian whose width the blocks to the left and above tell."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4 * LATENTS + 1, _CONTEXT, 1)
        self.second = nn.Conv2d(_CONTEXT, LATENTS, 1)
        self.mean = nn.Parameter(torch.tensor([0.5, 0.0, 0.0, 0.5]))  # left, above left, above right, above
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, levels: Tensor, step: Tensor) -> Tensor:
        """Bits of levels [n, 64, rows, columns] in steps [n, 1, 1, 1]: [n]."""
        around = _before(levels)
        size = torch.log1p(around.abs()).flatten(1, 2)
        size[:, ::LATENTS] = 0.0  # means say nothing of their neighbours' width
        state = (torch.log2(step) / 4 - 1.25).expand(-1, 1, *levels.shape[2:])
        scales = (
            self.second(torch.relu(self.first(torch.cat([size, state], 1)))).clamp(-6, 6).exp() + _LEAST_SCALE
        )
        mean = (around[:, :, 0] * self.mean[None, :, None, None]).sum(1, keepdim=True)
        off = torch.cat([levels[:, :1] - mean, levels[:, 1:]], 1).abs()
        upper, lower = _laplace(off + 0.5, scales), _laplace(off - 0.5, scales)
        return -torch.log2((upper - lower).clamp_min(1e-7)).sum((1, 2, 3))


def _laplace(x: Tensor, scale: Tensor) -> Tensor:
    """The distribution function of Laplace."""
    tail = 0.5 * torch.exp(-x.abs() / scale)
    return torch.where(x > 0, 1 - tail, tail)


def _before(levels: Tensor) -> Tensor:
    """The blocks to the left, above left, above right and above: [n, 4, 64, rows, columns], 0 beyond the rim."""
    rim = functional.pad(levels, (1, 1, 1, 0))
    rows, columns = levels.shape[2:]
    places = ((1, 0), (0, 0), (0, 2), (0, 1))
    return torch.stack([rim[:, :, y : y + rows, x : x + columns] for y, x in places], 1)


@dataclass(frozen=True)
class Coded:
    """What became of a batch: bits and squared error of each crop, linear and by the network."""

    bits: Tensor
    linear: Tensor
    network: Tensor


class Pair(nn.Module):
    """A transform, its rate and its decoder.

    Args:
        lapped: See `Transform`.
        trained: See `Transform`.
    """

    def __init__(self, *, lapped: bool, trained: bool) -> None:
        super().__init__()
        self.transform = Transform(lapped=lapped, trained=trained)
        self.rate = Rate()
        self.decoder = GroundDecoder(NETWORK)

    def forward(self, crops: Tensor, step: Tensor) -> Coded:
        """Code crops [n, side, side] of 0 to 255 in steps [n, 1, 1, 1]."""
        scaled = self.transform.analyse(crops - 128.0) / step
        levels = scaled + (_rounded(scaled) - scaled).detach()
        points = self.transform.points[None, :, None, None]
        latents = step * (levels - points * levels.detach().sign())
        linear = self.transform.synthesise(latents) + 128.0
        image = linear.clamp(0, 255)[:, None].expand(-1, 3, -1, -1)
        steps = step.expand(-1, 1, *levels.shape[2:])
        found = self.decoder(image, 4.0 * latents, steps, torch.zeros_like(steps))
        luma = (found * torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1)
        errors = [(picture - crops).square().mean((1, 2)) for picture in (linear, luma)]
        return Coded(self.rate(levels, step), *errors)


def _rounded(levels: Tensor) -> Tensor:
    """To whole numbers: means to the nearest, others towards zero a little."""
    towards = torch.cat(
        [levels[:, :1].round(), levels[:, 1:].sign() * (levels[:, 1:].abs() + _ROUNDING).floor()], 1
    )
    return towards.detach()


def train(pair: Pair, pool: CropPool, steps: int, report: Report) -> None:
    """Train a pair, in place."""
    generator = torch.Generator().manual_seed(7)
    optimiser = torch.optim.Adam(
        [
            {"params": [*pair.rate.parameters(), *pair.decoder.parameters()], "lr": 2e-3},
            {"params": [p for p in pair.transform.parameters() if p.requires_grad], "lr": 2e-4},
        ]
    )
    descent = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for done in range(1, steps + 1):
        crops = _grey(pool, BATCH, generator)
        low, high = _DRAWN
        step = 2 ** (low + (high - low) * torch.rand(BATCH, 1, 1, 1, generator=generator))
        coded = pair(crops, step)
        squared = step.flatten() ** 2
        cost = coded.network + coded.linear + 2 * _LAMBDA * squared * coded.bits / CROP**2
        loss = (cost / step.flatten() ** 1.5).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(pair.parameters(), 1.0)
        optimiser.step()
        descent.step()
        report("training", done, steps, float(loss.detach()))


def measure(pair: Pair, pool: CropPool) -> dict[str, Curve]:
    """Curves of a pair on held-out crops, by decoder."""
    points: dict[str, list[tuple[float, float]]] = {"linear": [], "network": []}
    for step in STEPS:
        generator = torch.Generator().manual_seed(11)  # the same crops at every step
        steps = torch.full((BATCH, 1, 1, 1), step)
        with torch.no_grad():
            parts = [pair(_grey(pool, BATCH, generator), steps) for _ in range(CHECKED // BATCH)]
        bpp = float(torch.cat([part.bits for part in parts]).mean()) / CROP**2
        for name, found in points.items():
            error = float(torch.cat([getattr(part, name) for part in parts]).mean())
            found.append((bpp, 10 * math.log10(255**2 / error)))
    return {name: Curve.of(found) for name, found in points.items()}


def _grey(pool: CropPool, count: int, generator: torch.Generator) -> Tensor:
    crops = 255 * pool.draw(count, CROP, generator)
    return (crops * torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1).round()


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("block8_transform.py", __doc__ or "", "docs/measurements/block8-transform.md")
    parser.add_argument("--data", type=Path, required=True, help="folder of training pictures")
    parser.add_argument(
        "--steps", type=positive, default=2500, help="of each training (default: %(default)s)"
    )
    parser.add_argument("--threads", type=positive, default=1, help="of torch (default: %(default)s)")
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    torch.set_num_threads(options.threads)
    curves: dict[str, dict[str, Curve]] = {}
    with progress_bars(not options.quiet) as report:
        load = partial(load_pool, options.data, CROP, partial(report, "images"))
        pool = load(keep=lambda path: not held_out(path))
        checked = load(keep=held_out)
        for lapped in (True, False):
            for trained in (False, True):
                name = f"{'lapped' if lapped else 'not lapped'}, {'trained' if trained else 'fixed'}"
                torch.manual_seed(3)
                pair = Pair(lapped=lapped, trained=trained)
                train(pair, pool, options.steps, report)
                curves[name] = measure(pair.eval(), checked)
    page = _page(options, command, curves)
    write_text(options.output, page)
    print(page)


def _page(options: argparse.Namespace, command: str, curves: dict[str, dict[str, Curve]]) -> str:
    anchor = next(iter(curves))
    rows = []
    for name, found in curves.items():
        against = [bd_rate(found[kind], curves[anchor][kind]) for kind in ("network", "linear")]
        psnr = [found["network"].at(rate) for rate in (0.1, 0.25, 0.5)]
        rows.append([name, *(figure(rate, 1, signed=True) for rate in against), *map(figure, psnr)])
    header = [f"BD-rate, % against {anchor}", "network", "linear", "PSNR at 0.1", "0.25", "0.5"]
    head = _HEAD.format(
        command=command,
        processor=processor(),
        macs=GroundDecoder(NETWORK).macs() / 1000,
        steps=options.steps,
        batch=BATCH,
        crop=CROP,
        checked=CHECKED,
    )
    return "\n".join([head, table(header, rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
