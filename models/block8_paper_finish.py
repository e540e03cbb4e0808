"""What follows training G1 and G2: the synthesis over neighbours, the quantiser, the entropy tables.

All of it is closed-form and runs on planes of whole training images, quantised as the codec will.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from farlook.calibration.block8_paper import fit_tables
from farlook.models.block8_paper_transforms import (
    BLOCK,
    CENTRE,
    PIXELS,
    Analysis,
    block_local,
    features,
)
from farlook.runtime.colour import to_planes
from farlook.runtime.layouts.block8_paper import KINDS, BlockLatents, BlockSymbols, Quantiser, to_tiles
from farlook.runtime.layouts.block_contexts import TileSymbols

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from farlook.runtime.layouts.block_contexts import Bool

TILE_LOG2 = 8
QUANTISER: dict[str, Any] = {
    # Each quality's step is 3 % under the last one's: fine enough for a budget to be used to 95 % and more.
    "steps": [round(160.0 * (1 / 20) ** (index / 99), 3) for index in range(100)],
    "chroma_ratio": 0.5,
    "rounding": 0.36,
    "detail": 1 / 16,
}
FIT_QUALITIES = (12, 26, 36, 44, 52, 60)
"""Qualities that synthesis and tables are fitted at, all together: luma steps of 115 to 27."""

_RIDGE = 1e-6


def planes_of(image: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """A picture's planes, each with its kind ("luma" or "chroma"), cropped to whole blocks."""
    for index, plane in enumerate(to_planes(image)):
        height, width = (side - side % BLOCK for side in plane.shape)
        if height and width:
            yield KINDS[min(index, 1)], plane[:height, :width]


def analyse(analysis: Analysis, plane: NDArray[np.uint8]) -> BlockLatents:
    """Latents of one plane of whole blocks."""
    with torch.no_grad():
        g1, g2, error = analysis(torch.from_numpy(plane.astype(np.float32))[None, None])
    return BlockLatents(g1[0, 0].numpy(), np.moveaxis(g2[0].numpy(), 0, -1), error[0, 0].numpy())


def fit_synthesis(weights: dict[str, Tensor], images: Iterable[NDArray[np.uint8]]) -> Tensor:
    """Least squares from quantised latents of 3x3 blocks to pixels, for G1's blocks and for G2's.

    Args:
        weights: `g1.encoder`, `g1.decoder`, `g2.encoder`, `g2.decoder`.
        images: uint8 [height, width] or [height, width, 3].

    Returns:
        float32 [128, k + 1, 3, 3], for `Synthesis`.
    """
    analysis, quantiser = Analysis(weights), Quantiser.from_coding({"quantiser": QUANTISER})
    start = block_local(weights)
    width = start[0].numel()
    grams = torch.zeros(2, width, width, dtype=torch.float64)
    crosses = torch.zeros(2, width, PIXELS, dtype=torch.float64)
    for image in images:
        for kind, plane in planes_of(image):
            latents = analyse(analysis, plane)
            pixels = torch.from_numpy(plane.astype(np.float32))[None, None] - CENTRE
            blocks = functional.pixel_unshuffle(pixels, BLOCK)[0].flatten(1).T
            for quality in FIT_QUALITIES:
                symbols = quantiser.quantise(latents, quality, kind)
                inputs = _surroundings(symbols, quantiser.step(quality, kind))
                for group, members in enumerate(_groups(symbols)):
                    here = inputs[members].double()
                    grams[group] += here.T @ here
                    crosses[group] += here.T @ blocks[members].double()
    fitted = [
        _ridge(gram, cross, prior.reshape(PIXELS, width).T.double())
        for gram, cross, prior in zip(grams, crosses, start.chunk(2), strict=True)
    ]
    return torch.cat([part.T.reshape(PIXELS, *start.shape[1:]) for part in fitted]).float()


def fit_entropy(weights: dict[str, Tensor], images: Iterable[NDArray[np.uint8]]) -> dict[str, Any]:
    """The integer tables of a bundle's `entropy.json`, from `images` at `FIT_QUALITIES`."""
    analysis, quantiser = Analysis(weights), Quantiser.from_coding({"quantiser": QUANTISER})
    samples: dict[str, list[tuple[Bool, TileSymbols]]] = {kind: [] for kind in KINDS}
    for image in images:
        for kind, plane in planes_of(image):
            latents = analyse(analysis, plane)
            samples[kind] += [
                _tiles(quantiser.quantise(latents, quality, kind), kind) for quality in FIT_QUALITIES
            ]
    latent_count = weights["g2.encoder"].shape[0]
    # Grey training images have no chroma: its tables are luma's then.
    return {kind: fit_tables(samples[kind] or samples["luma"], latent_count) for kind in KINDS}


def _tiles(symbols: BlockSymbols, kind: str) -> tuple[Bool, TileSymbols]:
    side = (1 << TILE_LOG2) // BLOCK // (1 + (kind == "chroma"))
    tiles = TileSymbols(to_tiles(symbols.latents, side).astype(np.int64), to_tiles(symbols.detailed, side))
    return to_tiles(np.ones_like(symbols.detailed), side), tiles


def _surroundings(symbols: BlockSymbols, step: float) -> Tensor:
    """The synthesis' inputs for each block, float32 [blocks, (k + 1) * 9], in its weights' order."""
    latents = torch.from_numpy(np.moveaxis(symbols.latents, -1, 0).astype(np.float32))[None] * step
    detailed = torch.from_numpy(symbols.detailed.astype(np.float32))[None, None]
    padded = functional.pad(features(latents, detailed), (1, 1, 1, 1), mode="replicate")
    return functional.unfold(padded, 3)[0].T


def _groups(symbols: BlockSymbols) -> tuple[Tensor, Tensor]:
    detailed = torch.from_numpy(symbols.detailed.reshape(-1))
    return ~detailed, detailed


def _ridge(gram: Tensor, cross: Tensor, prior: Tensor) -> Tensor:
    """The weights nearest to `prior` among those that fit: a tiny pull settles what the data leave open."""
    pull = _RIDGE * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    correction: Tensor = torch.linalg.solve(gram + pull, cross - gram @ prior)
    return prior + correction
