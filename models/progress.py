"""Bars in the terminal for work that takes a while: what, how far, its loss, the time left."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from farlook.runtime.errors import MissingExtraError

try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "train", "to show training's progress") from error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID


class Report(Protocol):
    """Told how far a task is: `done` of `total` steps, and its loss if it has one."""

    def __call__(self, task: str, done: int, total: int, loss: float | None = None) -> None:
        """Take note."""


def silent(task: str, done: int, total: int, loss: float | None = None) -> None:
    """Report nothing."""


@contextmanager
def progress_bars(enabled: bool = True) -> Iterator[Report]:
    """Show a bar for each task on the standard error stream while the block runs, if `enabled`."""
    if not enabled:
        yield silent
        return
    name, loss_text = TextColumn("{task.description}"), TextColumn("{task.fields[loss]}")
    columns = (name, BarColumn(), MofNCompleteColumn(), loss_text, TimeRemainingColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def report(task: str, done: int, total: int, loss: float | None = None) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total, loss="")
            bars.update(tasks[task], completed=done, loss="" if loss is None else f"loss {loss:.4g}")

        yield report
