"""How a run descends: learning rate over the steps, clipping, and the average of the weights that is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEDULES = ("cosine", "plateau")


@dataclass(frozen=True)
class Descent:
    """Settings of Adam.

    Args:
        betas: Of Adam.
        clip: The gradient's norm at most; None leaves gradients as they are.
        average: Decay of an exponential moving average of the weights, which replaces them at the end; 0 for none.
        schedule: "cosine" falls to zero at the last step; "plateau" halves whenever the mean loss of `patience`
            steps is above the least one so far.
        warmup: Steps over which the rate rises to its full value.
        patience: See `schedule`.

    Raises:
        UsageError: A value lies outside its range.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = None
    average: float = 0.0
    schedule: str = "cosine"
    warmup: int = 0
    patience: int = 500

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule is {self.schedule!r}; it must be one of {', '.join(SCHEDULES)}")
        if not 0 <= self.average < 1 or self.patience < 1 or (self.clip is not None and self.clip <= 0):
            raise UsageError(f"{self} has a value out of its range")


@dataclass
class Rate:
    """The learning rate as the run goes on, relative to its start."""

    descent: Descent
    factor: float = 1.0
    best: float = math.inf
    recent: list[float] = field(default_factory=list)

    def at(self, step: int, steps: int) -> float:
        """The rate of the step after `step`, relative to the start's."""
        rise = min(1.0, (step + 1) / (self.descent.warmup + 1))
        return rise * (cosine(step / steps) if self.descent.schedule == "cosine" else self.factor)

    def note(self, loss: float) -> None:
        """Learn of a step's loss."""
        if self.descent.schedule != "plateau":
            return
        self.recent.append(loss)
        if len(self.recent) == self.descent.patience:
            mean = math.fsum(self.recent) / len(self.recent)
            self.recent.clear()
            if mean >= self.best:
                self.factor /= 2
            self.best = min(self.best, mean)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, as JSON."""
        best = self.best if math.isfinite(self.best) else None
        return {"factor": self.factor, "best": best, "recent": list(self.recent)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.factor, self.recent = state["factor"], list(state["recent"])
        self.best = math.inf if state["best"] is None else state["best"]


class Average:
    """An exponential moving average of a module's weights; young averages forget faster.

    Args:
        module: Whose; its weights now are the first.
        decay: Share that each step keeps, in the long run.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def follow(self, module: nn.Module, step: int) -> None:
        """Take a step towards the module's weights."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in module.state_dict().items():
                mean = self.tensors[name]
                if mean.is_floating_point():
                    mean.lerp_(value, share)
                else:
                    mean.copy_(value)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from saved tensors."""
        for name, value in tensors.items():
            self.tensors[name].copy_(value)


def cosine(done: float) -> float:
    """Fall from 1 to 0 as `done` goes from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * done))
