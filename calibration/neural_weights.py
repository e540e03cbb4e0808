"""Weights of one step of a neural codec's context model, by gradient descent on the length of the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.neural_tables import CLASSES, OCTAVE, SMALLEST
from farlook.runtime.errors import MissingExtraError
from farlook.runtime.neural.contexts import CLASS_BITS, LEADERS, MEAN_BITS
from farlook.runtime.neural.schedule import MEAN_UNIT

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to fit entropy tables") from error

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from farlook.runtime.neural.schedule import Step

ITERATIONS = 1500
"""Of the descent, at most; from 500 to 1500 they save another 0.8 % of the bits."""
BATCH = 2048

_FEWEST, _POSITIONS_EACH = 50, 20
_OCTAVE_OF_MAGNITUDES = 8
_AROUND = 8
_RATES = (0.15, 0.001)
"""Of scales and biases, in classes, and of means."""
_DECAY = 1e-4
_RIDGE, _FLOOR = 1e-4, 0.05
_SMALLEST_SHARE = 1e-7


@dataclass(frozen=True)
class StepData:
    """What a step sees and codes at positions of training pictures.

    Attributes:
        step: The step.
        side: Channels of earlier latents that it sees.
        anchors: Shares of the anchors, float32 [n, anchors].
        magnitudes: See `Known.magnitude_features`, int16 [n, features].
        values: See `Known.value_features`, int16 [n, features]; means in units of 1/12 may be clipped.
        symbols: int16 [n, channels].
        coded: bool [n, channels].
    """

    step: Step
    side: int
    anchors: NDArray[np.float32]
    magnitudes: NDArray[np.int16]
    values: NDArray[np.int16]
    symbols: NDArray[np.int16]
    coded: NDArray[np.bool_]


def fit_step(data: StepData, generator: np.random.Generator, *, contexts: bool = True) -> dict[str, Any]:
    """The step's object in `entropy.json`.

    Args:
        data: At least one position.
        generator: Chooses batches.
        contexts: Whether to use known symbols at all.
    """
    units = _units(data)
    bias = _start(data).requires_grad_()
    scale = torch.zeros(data.symbols.shape[1], data.magnitudes.shape[1], requires_grad=contexts)
    mean = _least_squares(data, units[1]) * float(contexts)
    mean.requires_grad_(contexts)
    groups = [{"params": [bias, scale], "lr": _RATES[0]}, {"params": [mean], "lr": _RATES[1]}]
    optimiser = torch.optim.Adam([group for group in groups if contexts or group is groups[0]])
    iterations = min(ITERATIONS, max(_FEWEST, len(data.symbols) // _POSITIONS_EACH))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, iterations)
    for _ in range(iterations):
        chosen = generator.integers(0, len(data.symbols), BATCH)
        bits = _bits(data, chosen, units, bias, scale, mean)
        penalty = _DECAY * (scale.square().sum() + mean.square().sum())
        optimiser.zero_grad()
        (bits + penalty).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return {
            "scale": _integers(scale / units[0] * (1 << CLASS_BITS)),
            "mean": _integers(mean / units[1] * (1 << MEAN_BITS)),
            "bias": _integers(bias * (1 << CLASS_BITS)),
        }


def _bits(
    data: StepData,
    chosen: NDArray[np.int64],
    units: tuple[Tensor, Tensor],
    bias: Tensor,
    scale: Tensor,
    mean: Tensor,
) -> Tensor:
    """Bits a symbol, with logistic distributions."""
    magnitudes = torch.from_numpy(data.magnitudes[chosen]).float() / units[0]
    values = torch.from_numpy(data.values[chosen]).float() / units[1]
    symbols = torch.from_numpy(data.symbols[chosen]).float()
    classes = torch.from_numpy(data.anchors[chosen]) @ bias + magnitudes @ scale.T
    spread = torch.exp2(SMALLEST + classes.clamp(-OCTAVE, CLASSES) / OCTAVE)
    distance = (symbols - values @ mean.T).abs()  # mirrored: small differences of numbers near 0, not near 1
    share = torch.sigmoid((0.5 - distance) / spread) - torch.sigmoid((-0.5 - distance) / spread)
    bits = -torch.log2(share + _SMALLEST_SHARE)
    return (bits * torch.from_numpy(data.coded[chosen])).sum(1).mean()


def _units(data: StepData) -> tuple[Tensor, Tensor]:
    """What features are divided by to be of the order of 1: octaves and symbols."""
    first, own = data.step.first, data.symbols.shape[1] if data.step.neighbours else 0
    leaders, mean = min(first, LEADERS), float(MEAN_UNIT)
    pairs = [1.0] * data.side + [float(_AROUND)] * data.side + [1.0] * first + [float(_AROUND)] * first
    octaves = [*pairs, *[1.0] * leaders, *[mean] * own, *[1.0] * own]
    symbols = [*[1.0] * (first + 8 * leaders), *[mean] * own]
    return _OCTAVE_OF_MAGNITUDES * torch.tensor(octaves), torch.tensor(symbols)


def _least_squares(data: StepData, units: Tensor) -> Tensor:
    """Weights of means to begin with, float32 [channels, features]; each level counts by how small its symbols are."""
    values = torch.from_numpy(data.values).float() / units
    symbols = torch.from_numpy(data.symbols).float()
    shares = torch.from_numpy(data.anchors)
    energy = (shares.T @ symbols.square().mean(1)) / (shares.sum(0) + 1e-3)
    weight = 1 / (shares @ energy + _FLOOR)
    gram = values.T @ (values * weight[:, None])
    pull = _RIDGE * len(values) * torch.eye(values.shape[1])
    solved: Tensor = torch.linalg.solve(gram + pull, values.T @ (symbols * weight[:, None])).T
    return solved.contiguous()


def _start(data: StepData) -> Tensor:
    """Biases from mean magnitudes at each anchor, float32 [anchors, channels]."""
    share = data.anchors.sum(0)[:, None] + 1e-3
    size = (data.anchors.T @ np.abs(data.symbols).astype(np.float32) + 1e-3) / share
    size = np.where(share > 1, size, size[np.argmax(share)])
    spread = np.clip(size, 2.0**-3, 2.0**6) / 1.5
    return torch.from_numpy((OCTAVE * (np.log2(spread) - SMALLEST)).astype(np.float32))


def _integers(weights: Tensor) -> list[list[int]]:
    return [[int(weight) for weight in row] for row in torch.round(weights).tolist()]
