"""What a training run of a neural codec is made of: its settings, the presets' optimisers, and where it computes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from farlook.models.losses import PRESETS
from farlook.models.neural_codecs import CODECS
from farlook.models.schedule import Descent
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DESCENTS = {
    "mfca": (2e-3, Descent(betas=(0.5, 0.999), clip=1.0, schedule="plateau", patience=2000)),
    "fera": (1e-3, Descent(clip=1.0)),
    "aara": (1e-3, Descent(clip=1.0)),
    "mrdcae": (1e-3, Descent(clip=1.0)),
}
"""The papers' learning rates and schedules; the plateau of 5 epochs is counted in steps."""

_RD = (1e-3, Descent(clip=1.0, average=0.999, warmup=200))


@dataclass(frozen=True)
class NeuralConfig:
    """What a training run depends on, apart from its images.

    Args:
        codec: A key of `farlook.models.neural_codecs.CODECS`.
        preset: "rd" or "paper".
        steps: Optimiser steps; with none, a run that starts with trained weights only counts its tables anew.
        batch: Crops a step, over all processes.
        crop: Side of a crop in pixels, a multiple of 32.
        seed: Of weights, crops, levels and noise.
        lr: Learning rate at the start; None for the preset's.
        options: Mechanisms of the codec to switch, by name, as in its configuration.

    Raises:
        UsageError: A value lies outside its range.
    """

    codec: str
    preset: str = "rd"
    steps: int = 20_000
    batch: int = 8
    crop: int = 128
    seed: int = 0
    lr: float | None = None
    options: Mapping[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, known in (("codec", self.codec, CODECS), ("preset", self.preset, PRESETS)):
            if value not in known:
                raise UsageError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
        if self.steps < 0 or self.batch < 1 or not 0 <= self.seed < 2**32:
            raise UsageError("batch must be at least 1, steps not negative, and the seed from 0 to 2^32 - 1")
        if self.crop < 32 or self.crop % 32:
            raise UsageError(f"crop is {self.crop}; it must be a multiple of 32")
        if self.lr is not None and not (math.isfinite(self.lr) and self.lr > 0):
            raise UsageError(f"lr is {self.lr}; it must be a positive number")


@dataclass(frozen=True)
class Machine:
    """How a run computes; the same run may go on on another machine.

    Args:
        device: "auto" for CUDA where there is any; or a name that torch knows.
        compile: Compile the network by `torch.compile`.
        bf16: Convolutions in bfloat16 (autocast).
    """

    device: str = "auto"
    compile: bool = False
    bf16: bool = True

    def resolve(self) -> torch.device:
        """The device.

        Raises:
            UsageError: torch does not know it, or cannot use it here.
        """
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(f"cannot compute on {self.device!r}: {error}") from error
        return device


def descent_of(codec: str, preset: str) -> tuple[float, Descent]:
    """Learning rate and settings of Adam of a preset of a codec."""
    return _RD if preset == "rd" else _DESCENTS[codec]
