"""Work on slices in parallel, with results in order. The C core releases the GIL."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    T = TypeVar("T")
    R = TypeVar("R")


def thread_count(threads: int) -> int:
    """How many threads to work with: 0 takes all cores that this process may use.

    Raises:
        UsageError: It is no whole number, or below 0.
    """
    if not isinstance(threads, int) or threads < 0:
        raise UsageError(f"threads must be a whole number, 0 or more, not {threads}")
    if threads:
        return threads
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(work: Callable[[T], R], items: Sequence[T], threads: int) -> Iterator[R]:
    """`map(work, items)` by a number of threads; at most two results a thread wait to be taken."""
    if threads < 2 or len(items) < 2:
        yield from map(work, items)
        return
    rest = iter(items)
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        waiting: deque[Future[R]] = deque(pool.submit(work, item) for item in islice(rest, 2 * threads))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
        finally:
            for future in waiting:
                future.cancel()
