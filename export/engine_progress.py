"""How far a build is, as TensorRT tells it, and a way to stop it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[str, int, int], None]
    """Takes a phase's name, the steps that are done, and the steps in all; done means finished if equal."""


class Stop:
    """Whether the build should stop; Ctrl-C says so."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Take Ctrl-C as a wish to stop at the next step: an exception would end the process within C++.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; after the block.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, lambda *_: setattr(self, "asked", True))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self.asked:
            raise KeyboardInterrupt


def monitor(module: Any, report: Report, stop: Stop) -> Any:
    """An `IProgressMonitor` of TensorRT's module that tells `report` and asks `stop`."""

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]  # the module is chosen as the program runs
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self._steps[phase_name] = num_steps
            report(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            total = self._steps.get(phase_name, 0)
            report(phase_name, min(step, max(total - 1, 0)), total)
            return not stop.asked

        def phase_finish(self, phase_name: str) -> None:
            total = self._steps.pop(phase_name, 0)
            report(phase_name, total, total)

    return Monitor()
