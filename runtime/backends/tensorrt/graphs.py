"""CUDA graphs of runs whose shapes come again.

A graph belongs to the context that it was recorded from: once that is told other shapes, what the graph does is
undefined. So each has a context of its own, whose shapes never change. It runs once before it is recorded, as
TensorRT sets itself up in the first run of new shapes.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from farlook.runtime.backends.cuda import Cuda
    from farlook.runtime.backends.tensorrt.ports import Shape

    Key = tuple[Shape, ...]

KEPT = 16
"""Shapes whose CUDA graphs are kept: windows at the rims of a picture have up to nine."""

REMEMBERED = 64
"""Shapes that are known to have come before."""


@dataclass(frozen=True)
class Graph:
    """A recorded run.

    Attributes:
        context: What it was recorded from.
        shapes: Of all inputs and outputs, by name.
        executable: CUDA's handle.
    """

    context: Any
    shapes: Mapping[str, Shape]
    executable: Any


class Graphs:
    """The CUDA graphs of one stream, by the shapes of inputs.

    Args:
        cuda: CUDA's runtime.
        stream: The stream.

    Attributes:
        note: Why the last shapes that could not be recorded run without a graph; empty if there were none.
    """

    def __init__(self, cuda: Cuda, stream: int) -> None:
        self._cuda, self._stream = cuda, stream
        self._graphs: OrderedDict[Key, Graph] = OrderedDict()
        self._seen: OrderedDict[Key, bool] = OrderedDict()  # False if they cannot be recorded
        self.note = ""

    def get(self, key: Key) -> Graph | None:
        """The graph of these shapes, if there is one."""
        if key in self._graphs:
            self._graphs.move_to_end(key)
        return self._graphs.get(key)

    def knows(self, key: Key) -> bool:
        """Whether these shapes came before, not too long ago."""
        return key in self._seen

    def wants(self, key: Key) -> bool:
        """Whether these shapes came before, and may be recorded."""
        return self._seen.get(key, False)

    def saw(self, key: Key) -> None:
        """These shapes came."""
        self._seen.setdefault(key, True)
        self._seen.move_to_end(key)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def refuse(self, key: Key, why: object) -> None:
        """These shapes cannot be recorded: do not try again."""
        self.saw(key)
        self._seen[key] = False
        self.note = f"no CUDA graph: {why}"

    def record(self, key: Key, context: Any, shapes: Mapping[str, Shape], work: Callable[[], None]) -> None:
        """Record work; `note` says why if it cannot be.

        Args:
            key: The shapes of inputs.
            context: What `work` runs; it has done so once with these shapes and nothing since, and is kept.
            shapes: Of all inputs and outputs.
            work: Puts a run on the stream.
        """
        capturable = getattr(context, "is_stream_capturable", None)
        if capturable is not None and not capturable(self._stream):
            self.refuse(key, "this engine's work cannot be recorded")
            return
        try:
            executable = self._capture(work)
        except BackendError as error:
            # A failure within the recording is the cause of the one that ends it.
            self.refuse(key, error.__context__ if isinstance(error.__context__, BackendError) else error)
            self._cuda.runtime.cudaGetLastError()  # it stays the last error until it is asked for
            return
        self._graphs[key] = Graph(context, dict(shapes), executable)
        if len(self._graphs) > KEPT:
            self._destroy(self._graphs.popitem(last=False)[1])

    def launch(self, graph: Graph) -> None:
        """Put a recorded run on the stream.

        Raises:
            BackendError: CUDA refuses.
        """
        self._cuda.call("cudaGraphLaunch", graph.executable, self._stream)

    def forget(self) -> None:
        """Give up all graphs, after a wait for those that run."""
        if self._graphs:
            self._cuda.synchronise(self._stream)
        while self._graphs:
            self._destroy(self._graphs.popitem()[1])

    def _capture(self, work: Callable[[], None]) -> Any:
        mode = self._cuda.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._cuda.call("cudaStreamBeginCapture", self._stream, mode)
        recorded = None
        try:
            try:
                work()
            finally:
                recorded = self._cuda.call("cudaStreamEndCapture", self._stream)
            return self._cuda.call("cudaGraphInstantiate", recorded, 0)
        finally:
            if recorded is not None:
                self._cuda.call("cudaGraphDestroy", recorded)

    def _destroy(self, graph: Graph) -> None:
        with suppress(BackendError):
            self._cuda.call("cudaGraphExecDestroy", graph.executable)
