"""Time of each layer of a codec's networks: by ONNX Runtime's profiling, or by a backend that times them itself."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from farlook.runtime.backends.base import GraphSource
from farlook.runtime.bundle import BLOCK8_LAYOUT
from farlook.runtime.errors import BackendError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.bundle import Bundle
    from farlook.runtime.codec import Codec

    Feed = dict[str, NDArray[np.generic]]

RUNS = 5

_MOST_FEED_BYTES = 1 << 28
"""Most bytes of inputs that are kept to run a network on again: about eleven windows of 1024x1024."""


@dataclass(frozen=True)
class Layer:
    """One layer, as the backend runs it: after fusing, so not always a node of the ONNX graph.

    Attributes:
        name: The backend's.
        kind: Operator, as in "Conv"; empty where the backend does not say.
        detail: The provider that ran it, or the types that it gives out; empty where the backend does not say.
        calls: Times that it ran for one frame: once a window.
        seconds: Mean time for one frame.
    """

    name: str
    kind: str
    detail: str
    calls: float
    seconds: float


@dataclass(frozen=True)
class LayerTable:
    """All layers of one network.

    Attributes:
        network: "analysis" or "synthesis".
        how: What timed them.
        layers: Slowest first.
        run_seconds: Mean time of the whole network for one frame, timed in the same runs; 0 where not told.
        windows: Windows of a frame that were run.
        runs: Times that each window was run and counted.
        note: What to bear in mind; empty for nothing.
    """

    network: str
    how: str
    layers: tuple[Layer, ...]
    run_seconds: float
    windows: int
    runs: int
    note: str = ""

    @property
    def sum_seconds(self) -> float:
        """Of all layers."""
        return sum(layer.seconds for layer in self.layers)

    def by_kind(self) -> list[tuple[str, int, float]]:
        """Operators, slowest first: name, number of layers, seconds for one frame."""
        kinds: dict[str, list[float]] = defaultdict(list)
        for layer in self.layers:
            kinds[layer.kind or "layer"].append(layer.seconds)
        rows = [(kind, len(times), sum(times)) for kind, times in kinds.items()]
        return sorted(rows, key=lambda row: -row[2])


@runtime_checkable
class TimesLayers(Protocol):
    """A session that can time its own parts, as those of TensorRT engines can."""

    def layer_times(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[tuple[str, float]]:
        """Run once with a profiler: names and seconds of layers, in the engine's order."""

    def layers(self) -> list[dict[str, Any]]:
        """What the inspector tells of each layer: its "Name", and for engines built with details much more."""

    def times(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, float]:
        """Run once, timed by events on the device: seconds of "copies in", "engine" and "copies out"."""


@dataclass
class Tap:
    """A session that notes what it is given.

    Attributes:
        session: The real one.
        feeds: Inputs of each run, as long as there is room.
        missed: Runs whose inputs were not kept.
    """

    session: Session
    feeds: list[Feed] = field(default_factory=list)
    missed: int = 0
    _bytes: int = 0

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """See `Session.run`."""
        size = sum(array.nbytes for array in inputs.values())
        if self.feeds and self._bytes + size > _MOST_FEED_BYTES:
            self.missed += 1
        else:
            self._bytes += size
            self.feeds.append({name: array.copy() for name, array in inputs.items()})
        return self.session.run(inputs)


def check_layers(bundle: Bundle) -> None:
    """Refuse a bundle whose codec runs no networks.

    Raises:
        UsageError: It has no layers.
    """
    if bundle.layout == BLOCK8_LAYOUT or not bundle.graphs:
        raise UsageError(f"{bundle.codec} runs no networks, so it has no layers: leave --layers out")


def measure_layers(
    codec: Codec,
    image: NDArray[Any],
    target: Mapping[str, Any],
    *,
    precision: str,
    threads: int,
    runs: int = RUNS,
) -> list[LayerTable]:
    """Time the layers of a codec's networks on the windows of one picture.

    Args:
        codec: As it was profiled.
        image: The picture.
        target: Of `Codec.encode`.
        precision: That the codec was opened with.
        threads: That it was opened with.
        runs: How often each window is run, besides one that does not count.

    Raises:
        UsageError: The codec has no networks.
        BackendError: Its backend does not time layers.
    """
    check_layers(codec.bundle)
    with tapped(codec) as taps:
        codec.decode(codec.encode(image, **target))
    tables = []
    for network, tap in taps.items():
        if isinstance(tap.session, TimesLayers):
            table = _engine_table(network, tap.session, tap.feeds, runs, _note(tap))
        elif codec.backend.startswith("ort"):
            source = GraphSource.of(codec.bundle, network, precision)
            table = ort_table(network, source.read(), tap.feeds, codec.backend, threads, runs, _note(tap))
        else:
            raise BackendError(f"the backend {codec.backend} does not time layers")
        tables.append(table)
    return tables


def _note(tap: Tap) -> str:
    return f"{tap.missed} more windows were left out, to save memory" if tap.missed else ""


@contextmanager
def tapped(codec: Codec) -> Iterator[dict[str, Tap]]:
    """Put a tap before each network of a codec inside the block."""
    taps: dict[str, Tap] = {}

    def tap(network: str, session: Session) -> Session:
        taps[network] = Tap(session)
        return taps[network]

    codec.swap_sessions(tap)
    try:
        yield taps
    finally:
        codec.swap_sessions(lambda network, _: taps[network].session)


def _engine_table(
    network: str, session: TimesLayers, feeds: Sequence[Feed], runs: int, note: str
) -> LayerTable:
    seconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for number in range(1 + runs):
        for feed in feeds:
            for name, time in session.layer_times(feed):
                if number:
                    seconds[name] += time / runs
                    calls[name] += 1
    told = {str(each.get("Name")): each for each in session.layers()}
    layers = [
        Layer(name, *_inspected(told.get(name, {})), calls=calls[name] / runs, seconds=seconds[name])
        for name in seconds
    ]
    return LayerTable(network, "the engine's profiler", _slowest(layers), 0.0, len(feeds), runs, note)


def _inspected(layer: Mapping[str, Any]) -> tuple[str, str]:
    """A layer's kind, and the types of its outputs, as far as the inspector tells."""
    outputs = [each for each in layer.get("Outputs", []) if isinstance(each, dict)]
    types = [str(each.get("Format/Datatype") or each.get("Datatype") or "") for each in outputs]
    return str(layer.get("LayerType", "")), ", ".join(dict.fromkeys(filter(None, types)))


def ort_table(
    network: str, graph: bytes, feeds: Sequence[Feed], backend: str, threads: int, runs: int, note: str = ""
) -> LayerTable:
    """Time the layers of a graph in ONNX Runtime, which writes them to a file as it runs.

    Args:
        network: What to call it.
        graph: A serialized ONNX model.
        feeds: Inputs of each window.
        backend: "ort", "ort-cuda" or "ort-trt".
        threads: Of one run; 0 takes all cores.
        runs: How often each window is run, besides one that does not count.
        note: For the table.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BackendError: It failed.
    """
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu", "to time layers") from error
    from farlook.runtime.backends.ort.load import PROVIDERS  # noqa: PLC0415  # with onnxruntime only

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_profiling = True
    with TemporaryDirectory(prefix="farlook-") as folder:
        options.profile_file_prefix = str(Path(folder) / "layers")
        try:
            session = onnxruntime.InferenceSession(graph, options, providers=list(PROVIDERS[backend]))
            for _ in range(1 + runs):
                for feed in feeds:
                    session.run(None, feed)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise BackendError(f"onnxruntime failed to time the {network} graph: {error}") from error
    layers, run_seconds = read_events(events, skip=len(feeds), runs=runs)
    return LayerTable(network, "ONNX Runtime's profiling", layers, run_seconds, len(feeds), runs, note)


def read_events(
    events: Sequence[Mapping[str, Any]], *, skip: int, runs: int
) -> tuple[tuple[Layer, ...], float]:
    """Add up the events of ONNX Runtime's profiling by node.

    Args:
        events: As its JSON file has them; durations in whole microseconds.
        skip: Runs of the model at the begin that do not count.
        runs: Times that each window was run after those.

    Returns:
        The layers, slowest first, and the mean seconds of all windows of a frame.

    Raises:
        BackendError: The file holds no run of the model besides those skipped.
    """
    models = sorted((e for e in events if e.get("name") == "model_run"), key=lambda event: event["ts"])[skip:]
    if not models:
        raise BackendError("onnxruntime's profile holds no run of the model")
    begin = models[0]["ts"]
    durations: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for event in events:
        suffix = "_kernel_time"
        if event.get("cat") != "Node" or event["ts"] < begin or not event["name"].endswith(suffix):
            continue
        facts = event.get("args", {})
        # Nodes that the runtime adds for its own layout of memory can share a name: the index tells them apart.
        key = (event["name"].removesuffix(suffix), facts.get("op_name", ""), facts.get("node_index", ""))
        durations[(*key, facts.get("provider", ""))].append(event["dur"] * 1e-6)
    layers = [
        Layer(name, kind, provider.removesuffix("ExecutionProvider"), len(times) / runs, sum(times) / runs)
        for (name, kind, _, provider), times in durations.items()
    ]
    return _slowest(layers), sum(event["dur"] for event in models) * 1e-6 / runs


def _slowest(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    return tuple(sorted(layers, key=lambda layer: -layer.seconds))
