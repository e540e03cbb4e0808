"""The training loop that every codec shares: stages, optimiser steps, checkpoints, a log, exact resumption.

    stages --Trainer.run--> state --stage--> state --stage--> state
                                    `-- Trainer.optimise: batches, loss, Adam, cosine decay

A run can be killed at any moment and resumed from its last checkpoint to the very bits that an uninterrupted
run gives, on the same machine with the same number of threads: all randomness comes from one generator,
and the generator, the optimiser and the log travel with the weights.
"""

from __future__ import annotations

import hashlib
import math
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.models import checkpoint
from farlook.models.log import LOG, mean_row, write_log
from farlook.models.progress import silent
from farlook.runtime.errors import MissingExtraError, OutputError, TrainingError, UsageError

try:
    import torch
    from torch import Tensor, nn

    from farlook.models.schedule import Average, Descent, Rate, cosine
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to train") from error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from farlook.models.log import Row
    from farlook.models.progress import Report

__all__ = [
    "CHECKPOINT",
    "LOG",
    "Measured",
    "Stage",
    "Trainer",
    "TrainingState",
    "cosine",
    "open_run",
    "stage_seed",
]

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Measured:
    """A batch's loss, and figures of it for the log, such as PSNR."""

    loss: Tensor
    figures: Mapping[str, float]


@dataclass(frozen=True)
class TrainingState:
    """What the stages so far have made.

    Attributes:
        tensors: Weights, by name.
        figures: Numbers to report, such as final losses.
        notes: JSON for the model's metadata, such as entropy tables.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def plus(
        self,
        tensors: Mapping[str, Tensor] | None = None,
        figures: Mapping[str, float] | None = None,
        notes: Mapping[str, Any] | None = None,
    ) -> TrainingState:
        """The state with more in it."""
        return TrainingState(
            {**self.tensors, **(tensors or {})},
            {**self.figures, **(figures or {})},
            {**self.notes, **(notes or {})},
        )


@dataclass(frozen=True)
class Stage:
    """One step of a recipe: takes what earlier stages made, gives that and its own.

    A stage may call `Trainer.optimise` once, or not at all. Whatever else it computes must follow from the
    state, the settings and the data, for a resumed run computes it again.
    """

    name: str
    run: Callable[[Trainer, TrainingState], TrainingState]


@dataclass
class _Work:
    """An optimisation under way."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    rate: Rate
    average: Average | None
    step: int = 0
    unlogged: list[dict[str, float]] = field(default_factory=list)

    def tensors(self) -> dict[str, Tensor]:
        average = {} if self.average is None else checkpoint.prefixed("average", self.average.tensors)
        return {
            **checkpoint.prefixed("module", self.module.state_dict()),
            **checkpoint.prefixed("optimizer", checkpoint.optimizer_tensors(self.optimizer)),
            **average,
            "generator": self.generator.get_state(),
        }

    def meta(self) -> dict[str, Any]:
        return {"step": self.step, "unlogged": self.unlogged, "rate": self.rate.state()}

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        self.module.load_state_dict(saved.under("module"))
        checkpoint.restore_optimizer(self.optimizer, saved.under("optimizer"))
        self.generator.set_state(saved.tensors["generator"])
        if self.average is not None:
            self.average.restore(saved.under("average"))
        self.step = saved.meta["work"]["step"]
        self.unlogged = list(saved.meta["work"]["unlogged"])
        self.rate.restore(saved.meta["work"]["rate"])


class Trainer:
    """One training run in one folder: `checkpoint.safetensors` to resume from, `log.csv` to look at.

    Args:
        out_dir: Made if it is missing; see `open_run`.
        identity: What makes this run this run, as JSON: codec, settings, data. A checkpoint with another
            identity is refused.
        resume: Go on from the folder's checkpoint.
        checkpoint_every: Steps between checkpoints; there is one after every stage and on Ctrl-C too.
        log_every: Steps between rows of the log; a row holds the mean loss since the row before.
        report: Told about every step; stages that do something else may tell it too.
        plot: Write the log as JSON and as a picture too.
        writes: Off in all processes but one of those that train together.

    Raises:
        TrainingError: See `open_run`; or the checkpoint is damaged or of another run.
        OutputError: The folder cannot be made or written.
    """

    def __init__(
        self,
        out_dir: str | os.PathLike[str],
        identity: Mapping[str, Any],
        *,
        resume: bool = False,
        checkpoint_every: int = 500,
        log_every: int = 50,
        report: Report = silent,
        plot: bool = False,
        writes: bool = True,
    ) -> None:
        if checkpoint_every < 1 or log_every < 1:
            raise UsageError("checkpoint_every and log_every must be at least 1")
        self._folder = open_run(out_dir, resume=resume) if writes else Path(out_dir)
        self._plot, self._writes = plot, writes
        self._identity = dict(identity)
        self.report = report
        self._checkpoint_every, self._log_every = checkpoint_every, log_every
        self._finished: list[str] = []
        self._rows: list[Row] = []
        self._state = TrainingState()
        self._stage = ""
        self._optimised = False
        self._saved: checkpoint.Checkpoint | None = None
        if resume:
            self._load()
        self._write_log()

    def run(self, stages: Sequence[Stage]) -> TrainingState:
        """Run the stages that are not finished yet, one after the other.

        Raises:
            TrainingError: A stage failed, or the checkpoint's finished stages are not the first of `stages`.
            KeyboardInterrupt: Ctrl-C, after a checkpoint.
        """
        names = [stage.name for stage in stages]
        if names[: len(self._finished)] != self._finished:
            raise TrainingError(f"the checkpoint has finished {self._finished}, the stages here are {names}")
        for stage in stages[len(self._finished) :]:
            self._stage, self._optimised = stage.name, False
            self._state = stage.run(self, self._state)
            self._finished.append(stage.name)
            self._checkpoint(None)
        return self._state

    def optimise(
        self,
        module: nn.Module,
        loss: Callable[[torch.Generator], Tensor | Measured],
        *,
        steps: int,
        lr: float,
        seed: int,
        descent: Descent | None = None,
    ) -> None:
        """Minimise `loss` over the parameters of `module` by Adam.

        Args:
            module: Trained in place; it ends with its averaged weights if `descent` asks for them.
            loss: Draws a batch, and whatever else is random, from the generator it is given; gives a scalar, or
                `Measured` to have figures in the log.
            steps: Optimiser steps.
            lr: The learning rate at the start.
            seed: Of the generator.
            descent: Schedule, clipping, averaging; plain Adam along a cosine if it is None.

        Raises:
            TrainingError: The loss is not finite.
            KeyboardInterrupt: Ctrl-C, after the step was completed and a checkpoint written.
        """
        if self._optimised:
            raise RuntimeError(f"stage {self._stage!r} optimises twice; make two stages of it")
        self._optimised = True
        descent = descent or Descent()
        work = _Work(
            module,
            torch.optim.Adam(module.parameters(), lr=lr, betas=descent.betas),
            torch.Generator().manual_seed(seed),
            Rate(descent),
            Average(module, descent.average) if descent.average else None,
        )
        if self._saved is not None and self._saved.meta["work"]["stage"] == self._stage:
            work.restore(self._saved)
        with _held_interrupt() as interrupted:
            while work.step < steps:
                for group in work.optimizer.param_groups:
                    group["lr"] = lr * work.rate.at(work.step, steps)
                self._descend(work, loss, descent.clip)
                self._note(work, steps)
                if interrupted():
                    self._checkpoint(work)
                    raise KeyboardInterrupt
        if work.average is not None:
            module.load_state_dict(work.average.tensors)

    def _descend(
        self, work: _Work, loss: Callable[[torch.Generator], Tensor | Measured], clip: float | None
    ) -> None:
        work.optimizer.zero_grad()
        measured = loss(work.generator)
        if isinstance(measured, Tensor):
            measured = Measured(measured, {})
        value = measured.loss.item()
        if not math.isfinite(value):
            raise TrainingError(f"{self._stage}: the loss is {value} at step {work.step}; lower the rate")
        measured.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if clip is not None:
            nn.utils.clip_grad_norm_(work.module.parameters(), clip)
        work.optimizer.step()
        work.step += 1
        if work.average is not None:
            work.average.follow(work.module, work.step)
        work.rate.note(value)
        work.unlogged.append({"loss": value, **measured.figures})

    def _note(self, work: _Work, steps: int) -> None:
        last = work.step == steps
        self.report(self._stage, work.step, steps, work.unlogged[-1]["loss"])
        if last or work.step % self._log_every == 0:
            self._rows.append(mean_row(work.step, self._stage, work.unlogged))
            work.unlogged.clear()
        if last or work.step % self._checkpoint_every == 0:
            self._checkpoint(work)

    def _checkpoint(self, work: _Work | None) -> None:
        if not self._writes:
            return
        tensors = checkpoint.prefixed("state", self._state.tensors)
        meta: dict[str, Any] = {
            "identity": self._identity,
            "finished": self._finished,
            "figures": dict(self._state.figures),
            "notes": dict(self._state.notes),
            "log": self._rows,
            "work": None,
        }
        if work is not None:
            tensors |= work.tensors()
            meta["work"] = {"stage": self._stage, **work.meta()}
        checkpoint.save(self._folder / CHECKPOINT, tensors, meta)
        self._write_log()

    def _load(self) -> None:
        saved = checkpoint.load(self._folder / CHECKPOINT, expect={"identity": self._identity})
        self._state = TrainingState(saved.under("state"), saved.meta["figures"], saved.meta["notes"])
        self._finished = list(saved.meta["finished"])
        self._rows = list(saved.meta["log"])
        self._saved = saved if saved.meta["work"] is not None else None

    def _write_log(self) -> None:
        # The checkpoint holds the rows and this file follows it: after a crash the two cannot disagree.
        if self._writes:
            write_log(self._folder, self._rows, plot=self._plot)


def open_run(out_dir: str | os.PathLike[str], *, resume: bool) -> Path:
    """Make the folder of a run, or find the one to resume; cheap, so call it before reading any data.

    Raises:
        TrainingError: A new run would overwrite another one's checkpoint, or there is none to resume from.
        OutputError: The folder cannot be made.
    """
    folder = Path(out_dir)
    found = (folder / CHECKPOINT).exists()
    if resume and not found:
        raise TrainingError(f"nothing to resume: there is no checkpoint at {folder / CHECKPOINT}")
    if found and not resume:
        raise TrainingError(f"{folder} holds a training run already; resume it, or name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    return folder


def stage_seed(seed: int, name: str) -> int:
    """Derive a seed for one purpose, so that a stage put in before another does not change its numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:6], "big")


@contextmanager
def _held_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a question to ask between steps; a second one interrupts at once."""
    before = signal.getsignal(signal.SIGINT)
    # Python delivers signals to the main thread only; a process told to ignore Ctrl-C goes on ignoring it.
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield lambda: False
        return
    pressed = threading.Event()

    def hold(_number: int, _frame: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, hold)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
