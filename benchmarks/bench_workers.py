"""Processes for a benchmark: many that measure, or a single one on one core that is timed."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process
from typing import TYPE_CHECKING, TypeVar

from farlook.runtime.errors import FarlookError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Job = TypeVar("Job")
Result = TypeVar("Result")

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def in_any_order(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, *, one_core: bool = False
) -> Iterator[Result]:
    """Do every job; results as they come.

    The processes run one thread each. They end when this one does, killed or not.

    Args:
        work: Done in a process of its own.
        jobs: What to do.
        processes: How many at once.
        one_core: Keep each process on one core, where the system can (Linux); for times.

    Raises:
        FarlookError: `work` raised it, or a process was killed, as for want of memory.
    """
    if not jobs:
        return
    earlier = set(active_children())
    with _environment():
        pool = ProcessPoolExecutor(
            min(processes, len(jobs)), get_context("spawn"), initializer=_begin, initargs=(one_core,)
        )
        try:
            for done in as_completed([pool.submit(work, job) for job in jobs]):
                yield done.result()
        except BrokenProcessPool as error:
            raise FarlookError(
                "a process that measured was ended from outside, as for want of memory: "
                "run again to go on, perhaps with fewer --jobs"
            ) from error
        except BaseException:  # Ctrl-C too: nothing goes on behind
            for process in set(active_children()) - earlier:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def pinned() -> bool:
    """Whether this system can keep a process on one core."""
    return hasattr(os, "sched_setaffinity")


@contextmanager
def _environment() -> Iterator[None]:
    """One thread for libraries that read it from the environment when they are loaded."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _begin(one_core: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if one_core and pinned():
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
