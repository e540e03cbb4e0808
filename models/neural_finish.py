"""What follows training a network: weights of 11 bits, and the integer tables of its entropy coder.

The tables are counted on training pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from farlook.models.data import sample_pictures
from farlook.models.gains import LEVELS
from farlook.models.neural import STRIDE
from farlook.runtime.errors import TrainingError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from farlook.models.neural import NeuralCodec

_PICTURES = 120
_SPACING = 12

Symbols = dict[str, list[tuple[int, "NDArray[np.int32]"]]]


def as_halves(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights rounded to what float16 holds, their dtypes unchanged.

    So FP16 engines have the very weights that were measured, and a bundle, being compressed, a third fewer bytes.

    Raises:
        TrainingError: A weight is beyond float16's range: training diverged.
    """
    rounded = {}
    for name, weight in weights.items():
        half = weight.to(torch.float16).to(weight.dtype) if weight.is_floating_point() else weight
        if not torch.isfinite(half).all():
            raise TrainingError(f"{name} holds weights beyond 65504: training diverged; try a lower --lr")
        rounded[name] = half
    return rounded


def entropy_tables(
    network: NeuralCodec,
    data_dir: str | os.PathLike[str],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Fit the tables on pictures spread over the folder, each at three levels; all levels have their turn.

    Args:
        network: In eval mode.
        data_dir: Images, searched recursively.
        progress: Called with (pictures read, pictures to read).

    Returns:
        `entropy.json`'s content.

    Raises:
        TrainingError: No picture in the folder can be used.
    """
    from farlook.calibration.neural_entropy import fit_entropy

    found: Symbols = {latent.name: [] for latent in network.latents}
    for number, image in enumerate(sample_pictures(data_dir, _PICTURES, progress)):
        for name, parts in picture_symbols(network, image, range(number % _SPACING, LEVELS, _SPACING)):
            found[name].extend(parts)
    if not all(found.values()):
        raise TrainingError(f"no picture in {data_dir} can be read")
    return fit_entropy(found, network.coding())


def picture_symbols(
    network: NeuralCodec, image: NDArray[np.uint8], levels: Iterable[int]
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
