"""Every bundle's graphs on every backend of a GPU: how far from FP32 on the CPU, and how fast."""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.benchmarks.gpu_block8 import milliseconds
from farlook.export.block8_onnx import export_block8_onnx
from farlook.export.engine import build_engine, sources_of
from farlook.export.engine_config import Settings, parse_sm
from farlook.export.engine_shapes import default_sizes
from farlook.kernels.block8 import Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.runtime.backends import open_graphs
from farlook.runtime.backends.tensorrt.library import open_library
from farlook.runtime.block8.grids import grids_of
from farlook.runtime.bundle import BLOCK8_LAYOUT, Bundle, find_bundle
from farlook.runtime.codec import Codec
from farlook.runtime.engines import FOLDER_VARIABLE
from farlook.runtime.machine import this_machine
from farlook.runtime.profile.frames import SIZES, fit
from farlook.runtime.profile.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session

    Picture = NDArray[np.uint8]
    Arrays = dict[str, NDArray[np.generic]]
    Part = tuple[str, Callable[[], Any]]

BACKENDS = ("ort-cuda", "tensorrt", "rtx", "ort")
_BUILT = ("tensorrt", "rtx")
_QUALITY = 50
_SIZE = "1080p"
_TIMED = 50


def measure_networks(
    bundles: Sequence[str],
    pictures: Sequence[Picture],
    backends: Sequence[str],
    precisions: Sequence[str],
    seconds: float,
) -> Iterator[Part]:
    """The parts: each a name, and what gives its results.

    Args:
        bundles: Codecs or paths; block8 stands for its transform as graphs.
        pictures: The first gives the graphs' inputs, all are coded where a codec is measured.
        backends: Some of `BACKENDS`.
        precisions: "fp32", "fp16", "int8"; what a bundle lacks, and cannot be made of it, is an error there.
        seconds: Of every measurement.
    """
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get(FOLDER_VARIABLE)
        os.environ[FOLDER_VARIABLE] = folder  # engines are looked for here, and nowhere else
        try:
            for name in bundles:
                inputs: dict[str, Arrays] = {}
                given = partial(_prepare, name, Path(folder), pictures[0], inputs)
                yield f"{name} inputs", given
                for backend in backends:
                    for precision in precisions:
                        work = partial(_compare, name, Path(folder), backend, precision, inputs, seconds)
                        yield f"{name} {backend} {precision}", work
        finally:
            if before is None:
                del os.environ[FOLDER_VARIABLE]
            else:
                os.environ[FOLDER_VARIABLE] = before


def _open_bundle(name: str, folder: Path) -> Bundle:
    """The bundle; block8's with its graphs."""
    bundle = find_bundle(name)
    if bundle.layout != BLOCK8_LAYOUT or bundle.graphs:
        return bundle
    path = folder / "block8-graphs.bundle"
    if not path.exists():
        export_block8_onnx(path, bundle.path)
    return Bundle.open(path)


def _prepare(name: str, folder: Path, picture: Picture, inputs: dict[str, Arrays]) -> dict[str, Any]:
    """Fill in the inputs of a bundle's graphs, as coding a picture gives them; tells their shapes."""
    bundle = _open_bundle(name, folder)
    frame = fit(picture, *SIZES[_SIZE])
    inputs |= _block8_inputs(bundle, frame) if bundle.layout == BLOCK8_LAYOUT else _recorded(bundle, frame)
    return {
        graph: {key: list(array.shape) for key, array in feeds.items()} for graph, feeds in inputs.items()
    }


def _block8_inputs(bundle: Bundle, frame: Picture) -> dict[str, Arrays]:
    frame = fit(frame, frame.shape[1] // 16 * 16, frame.shape[0] // 16 * 16)
    geometry = Geometry(frame.shape[1], frame.shape[0], 3, 8)
    core = Core(Tables.unpack(bundle.tables()))
    store = core.store_rows(frame, 0, geometry.units_y, core.settings(geometry, step=0, mtu=1024))
    luma, chroma = (grid[None].astype(np.float32) for grid in grids_of(store, geometry))
    image = np.ascontiguousarray(frame.transpose(2, 0, 1)[None], np.float32)
    return {"analysis": {"image": image}, "synthesis": {"luma": luma, "chroma": chroma}}


class _Recorder:
    """A session that keeps the first inputs it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs: Arrays = {}

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Arrays:
        """See `Session.run`."""
        self.inputs = self.inputs or {name: np.array(array) for name, array in inputs.items()}
        return self._session.run(inputs)


def _recorded(bundle: Bundle, frame: Picture) -> dict[str, Arrays]:
    codec: Any = Codec.load(bundle.path, "ort")
    codec._analysis, codec._synthesis = _Recorder(codec._analysis), _Recorder(codec._synthesis)
    codec.decode(codec.encode(frame, quality=_QUALITY))
    return {"analysis": codec._analysis.inputs, "synthesis": codec._synthesis.inputs}


def _compare(
    name: str, folder: Path, backend: str, precision: str, inputs: dict[str, Arrays], seconds: float
) -> dict[str, Any]:
    """Both graphs on a backend: differences from FP32 in ONNX Runtime on the CPU, and latencies in milliseconds."""
    bundle = _open_bundle(name, folder)
    sources = sources_of(bundle, precision)
    built = _build(bundle, backend, precision, folder) if backend in _BUILT else {}
    opened = open_graphs(backend, sources)
    reference = open_graphs("ort", sources_of(bundle, "fp32"))
    found: dict[str, Any] = {"reason": opened.reason, "engines": built}
    for source, session, right in zip(sources, opened.sessions, reference.sessions, strict=True):
        feeds = inputs[source.name]
        outputs = _differences(session.run(feeds), right.run(feeds))
        found[source.name] = {
            "differences": outputs,
            "ms": milliseconds(partial(session.run, feeds), seconds),
        }
        times = getattr(session, "times", None)
        if times is not None:
            found[source.name]["stages, ms"] = _stages([times(feeds) for _ in range(_TIMED)])
    return found


def _build(bundle: Bundle, backend: str, precision: str, folder: Path) -> dict[str, Any]:
    """Build the engines for this GPU; tells seconds and bytes."""
    library = open_library(backend)
    gpu = this_machine().gpu
    sm = parse_sm(str(gpu.sm), library) if gpu is not None and backend == "rtx" else ()
    found = {}
    for source in sources_of(bundle, precision):
        engine = build_engine(library, bundle, source, default_sizes(bundle), Settings(sm=sm), folder)
        found[source.name] = {"seconds": engine.seconds, "bytes": engine.bytes, "layers": engine.layers}
    return found


def _differences(found: Arrays, right: Arrays) -> dict[str, dict[str, float]]:
    """Of each output: the largest difference, the mean, and the share of whole numbers that flip."""
    tables = {}
    for name, array in right.items():
        ours, theirs = found[name].astype(np.float64), array.astype(np.float64)
        apart = np.abs(ours - theirs)
        tables[name] = {
            "largest": float(apart.max()),
            "mean": float(apart.mean()),
            "of the largest value": float(apart.max() / max(np.abs(theirs).max(), 1e-30)),
            "rounded differently": float(np.mean(np.rint(ours) != np.rint(theirs))),
        }
    return tables


def _stages(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    found = {}
    for stage in runs[0]:
        times = Statistics.of([1e3 * each[stage] for each in runs])
        found[stage] = {"p50": times.p50, "p90": times.p90, "p99": times.p99}
    return found
