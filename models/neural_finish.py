"""What follows training a network: the integer tables of its entropy coder, counted on training pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from farlook.models.data import sample_pictures
from farlook.models.gains import LEVELS
from farlook.models.neural import STRIDE

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from farlook.models.neural import NeuralCodec

FIT_LEVELS = tuple(range(0, LEVELS, 5))
"""Levels whose symbols are counted."""

_PICTURES = 96

Symbols = dict[str, list[tuple[int, "NDArray[np.int32]"]]]


def entropy_tables(
    network: NeuralCodec,
    data_dir: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Fit the tables; gives them and figures to report.

    Args:
        network: In eval mode.
        data_dir: Images, searched recursively.
        progress: Called with (pictures read, pictures to read).
    """
    from farlook.calibration.neural_entropy import fit_entropy

    found: Symbols = {latent.name: [] for latent in network.latents}
    for image in sample_pictures(data_dir, _PICTURES, progress):
        for name, parts in picture_symbols(network, image, FIT_LEVELS):
            found[name].extend(parts)
    return fit_entropy(found, network.coding()), {}


def picture_symbols(
    network: NeuralCodec, image: NDArray[np.uint8], levels: tuple[int, ...]
) -> Iterator[tuple[str, list[tuple[int, NDArray[np.int32]]]]]:
    """Integers that a picture becomes at each of `levels`: for each latent, (level, int32 [C, h, w])."""
    pixels = torch.from_numpy(padded(image)).permute(2, 0, 1)[None].float() / 255.0
    found: Symbols = {latent.name: [] for latent in network.latents}
    for level in levels:
        at = torch.full((1,), level / (LEVELS - 1))
        with torch.no_grad():
            symbols = network.symbols(pixels, at)
        for name, values in symbols.items():
            found[name].append((level, values[0].numpy().astype(np.int32)))
    yield from found.items()


def padded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture in colours, its last row and column repeated to a multiple of the stride: [H, W, 3]."""
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    margins = [(0, -length % STRIDE) for length in image.shape[:2]]
    return np.pad(image, (*margins, (0, 0)), mode="edge")
