"""Stages: marks in the codecs that cost nothing worth counting until someone watches.

    with stage("entropy"):      # in a codec
        ...

    with watching() as watch:   # in the profiler
        codec.encode(image)
    watch.seconds               # {"colour": 0.002, "analysis": 0.120, ...}

Times are wall-clock times of the calling thread, and exclusive: while an inner stage runs, the outer one's clock
stands. So the stages of a call, and what lies outside of all of them, add up to the call. Threads that a codec
starts are not watched: a stage that spreads its work over threads counts until the last of them is done.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

STAGES = {
    "coding": "block8's C core: colours, transform, quantisation and entropy coder in one pass",
    "colour": "pixels to planes or tensors and back, padding included",
    "windows": "cutting pictures into windows or strips for a network, and joining what comes out",
    "copies": "between the host and the device",
    "analysis": "the encoder's network",
    "quantisation": "latents to integers and back",
    "entropy": "entropy coder and its contexts",
    "stream": "headers, checksums, packets",
    "synthesis": "the decoder's network; in block8 the inverse transform and colours, by the C core",
    "other": "the call without its stages",
}
"""Names of stages, in the order of reports, and what they are."""

OTHER = "other"


class Watch:
    """Adds up how long each stage took.

    Attributes:
        seconds: Exclusive time of each stage that was entered, by name.
    """

    __slots__ = ("_open", "_since", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def enter(self, name: str) -> None:
        """Stop the clock of the stage around, and start this one's."""
        now = time.perf_counter()
        if self._open:
            self._charge(now)
        self._open.append(name)
        self._since = now

    def leave(self) -> None:
        """Stop the innermost stage's clock, and let the one around it run on."""
        now = time.perf_counter()
        self._charge(now)
        self._open.pop()
        self._since = now

    def _charge(self, now: float) -> None:
        name = self._open[-1]
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since


class _Idle:
    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class _Stage:
    __slots__ = ("_name", "_watch")

    def __init__(self, watch: Watch, name: str) -> None:
        self._watch = watch
        self._name = name

    def __enter__(self) -> None:
        self._watch.enter(self._name)

    def __exit__(self, *_: object) -> None:
        self._watch.leave()


_IDLE = _Idle()
_watch: ContextVar[Watch | None] = ContextVar("farlook_watch", default=None)


def stage(name: str) -> AbstractContextManager[None]:
    """Mark a stage, one of `STAGES`: a context manager, the same idle one each time while nobody watches."""
    watch = _watch.get()
    return _IDLE if watch is None else _Stage(watch, name)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch the stages of what this thread does inside the block."""
    watch = Watch()
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)
