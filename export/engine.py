"""Engines of a bundle's graphs: read, check, build, write into the cache.

    ONNX model --parse--> network --types right?--> build --> engine + fingerprint --layers right?--> cache

The first check needs no GPU; the second is done where the engine can be loaded.
"""

from __future__ import annotations

import hashlib
import resource
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

from farlook import __version__
from farlook.export.engine_config import create_config
from farlook.export.engine_network import count_types, parse
from farlook.export.engine_progress import Stop, monitor
from farlook.export.engine_shapes import describe, input_shapes, stride_of
from farlook.runtime.backends.base import GraphSource
from farlook.runtime.backends.tensorrt.inspect import FUSED, compute_types, engine_layers, layer_types
from farlook.runtime.engines import FP16_PASS, Fingerprint, engine_path, jetpack, write_engine
from farlook.runtime.errors import BackendError, ExportError, OutputError, UsageError
from farlook.runtime.files import write_bytes
from farlook.runtime.machine import this_machine, version_text

if TYPE_CHECKING:
    from pathlib import Path

    from farlook.export.engine_config import Settings
    from farlook.export.engine_network import TensorTypes
    from farlook.export.engine_progress import Report
    from farlook.export.engine_shapes import Sizes
    from farlook.runtime.backends.tensorrt.library import Library
    from farlook.runtime.bundle import Bundle
    from farlook.runtime.machine import Machine


CHECKED, UNDETERMINED, ELSEWHERE = "layers", f"undetermined ({FUSED})", "no such GPU here"
"""How an engine's precision was checked: by its layers; by them, but it depends on what fused regions do not tell;
or not at all, as it cannot be loaded here."""


@dataclass(frozen=True)
class Built:
    """One engine.

    Attributes:
        path: Its file.
        fingerprint: What it was made of and for; its flag "checked" is one of the three above.
        bytes: Its size.
        seconds: What the build took.
        types: What the parsed network computes in.
        layers: How many layers of the engine give out tensors of each precision; None where it could not be
            loaded, empty where only its convolutions and products tell theirs.
    """

    path: Path
    fingerprint: Fingerprint
    bytes: int
    seconds: float
    types: TensorTypes
    layers: dict[str, int] | None


def sources_of(bundle: Bundle, precision: str) -> list[GraphSource]:
    """The bundle's graphs at a precision, made of the FP32 ones where the bundle has none.

    Raises:
        UsageError: The bundle has no graphs.
    """
    from farlook.calibration.precision import graph_at  # noqa: PLC0415  # later in the flow

    if not bundle.graphs:
        raise UsageError(f"{bundle.codec} has no networks, so there is nothing to build: the C core runs it")
    return [
        GraphSource.of(bundle, name, precision, partial(graph_at, bundle, name, precision))
        for name in bundle.graphs
    ]


def check_gpu() -> None:
    """Refuse to build for this machine where it has no GPU.

    Raises:
        BackendError: It has none, or no driver for it.
    """
    machine = this_machine()
    if machine.gpu is None:
        raise BackendError(
            f"an engine for this machine needs its GPU, but {machine.problem}: build on the device itself, or "
            "for RTX GPUs without one by --target rtx --sm 86,89,120"
        )


def check_driver(library: Library) -> None:
    """Refuse to build for this machine where its driver is too old for the library.

    Raises:
        BackendError: It is.
    """
    machine = this_machine()
    needed = _cuda_of(library)
    if machine.cuda < needed:
        raise BackendError(
            f"the NVIDIA driver {machine.driver} serves CUDA {version_text(machine.cuda)}, but {library.name} "
            f"{library.version} needs {version_text(needed)}: update the driver"
        )


def build_engine(
    library: Library,
    bundle: Bundle,
    source: GraphSource,
    sizes: Sizes,
    settings: Settings,
    folder: Path,
    report: Report = lambda *_: None,
) -> Built:
    """Build one graph's engine and put it into the cache.

    Args:
        library: TensorRT, or TensorRT for RTX.
        bundle: Whose graph.
        source: The graph.
        sizes: Of windows, from the smallest to the largest.
        settings: See `Settings`; `sm` decides whether it is for this GPU or for others.
        folder: Of the cache; made if it is not there.
        report: Told how far the build is.

    Raises:
        ExportError: The graph is damaged, has something that TensorRT does not, or is not of the precision
            that was asked for; or the build failed; or the engine is not of that precision, or does not tell.
        BackendError: The library lacks something that the settings ask for.
        BundleError: The bundle is damaged, or has no graph at that precision.
        OutputError: The engine cannot be written.
    """
    graph = source.read()
    builder = library.make("Builder")
    network, parser = parse(library, builder, graph, source.name)
    types = count_types(network)
    types.check(source.precision, source.name)
    shapes = _shapes(network, sizes, stride_of(bundle))
    _make(folder)
    cache = None if library.backend == "rtx" else folder / f"timing.{library.version}.cache"
    stop = Stop()
    watch = monitor(library.module, report, stop)
    config = create_config(library, builder, network, shapes, settings, watch, cache)
    start = time.perf_counter()
    with stop.on_interrupt():
        engine = builder.build_serialized_network(network, config)
    seconds = time.perf_counter() - start
    if engine is None:
        raise ExportError(_build_error(library, source))
    _keep_times(config, cache)  # of use to the next build, whatever becomes of this engine
    del parser  # the network's weights lay in it
    data = bytes(engine)
    fingerprint = _fingerprint(library, source, graph, data, shapes, settings, sizes)
    layers, checked = _inspect(library, source, data, fingerprint, types)
    fingerprint = replace(fingerprint, flags=fingerprint.flags | {"checked": checked})
    path = engine_path(folder, source, library.backend)
    write_engine(path, data, fingerprint)
    return Built(path, fingerprint, len(data), seconds, types, layers)


def peak_memory() -> int:
    """Most bytes of memory that this process had at once."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _make(folder: Path) -> None:
    """Make the cache's folder, so that an error comes before the build, not after.

    Raises:
        OutputError: It cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror}; choose another by -o DIR") from error


def _shapes(network: Any, sizes: Sizes, stride: int) -> dict[str, list[list[int]]]:
    found = {}
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = [int(length) for length in tensor.shape]
        names = [tensor.get_dimension_name(axis) for axis in range(len(shape))]
        found[str(tensor.name)] = input_shapes(tensor.name, shape, names, sizes, stride)
    return found


def _fingerprint(
    library: Library,
    source: GraphSource,
    graph: bytes,
    engine: bytes,
    shapes: dict[str, list[list[int]]],
    settings: Settings,
    sizes: Sizes,
) -> Fingerprint:
    machine = this_machine()
    gpu = None if settings.sm else machine.gpu
    return Fingerprint(
        codec=source.codec,
        graph=source.name,
        precision=source.precision,
        source=source.digests.get("fp32", ""),
        digest=hashlib.sha256(graph).hexdigest(),
        library=library.name,
        version=library.version,
        sm=settings.sm or ((gpu.sm,) if gpu else ()),
        gpu=gpu.name if gpu else "",
        cuda=machine.cuda if gpu else 0,
        jetpack=jetpack(machine) if gpu else "",
        platform=machine.platform,
        shapes=shapes,
        flags=settings.flags() | {"sizes": describe(sizes)} | _made_by(source),
        farlook=__version__,
        sha256=hashlib.sha256(engine).hexdigest(),
    )


def _inspect(
    library: Library, source: GraphSource, engine: bytes, fingerprint: Fingerprint, types: TensorTypes
) -> tuple[dict[str, int] | None, str]:
    """Count the engine's layers by precision where it can be loaded, and refuse one of another than asked for.

    Returns:
        What its layers give out, None where it cannot be loaded; and how it was checked: see `Built`.

    Raises:
        ExportError: The library lists no layers, or no type of any; or an FP32 engine has a layer of a lower
            precision; or far fewer of the engine's convolutions and products are of the precision than of the graph's.
    """
    if not _runs_here(fingerprint, this_machine()):
        return None, ELSEWHERE
    runtime, loaded = library.deserialise(engine, source.name, fingerprint, own=True)
    layers = engine_layers(library, loaded)
    del loaded, runtime  # in this order
    found = layer_types(layers)
    compute = compute_types(layers) or found
    if set(found) | set(compute) <= {FUSED}:
        lacks = "no types in the layers" if layers else "no layers"
        raise ExportError(
            f"{library.name} {library.version} lists {lacks} of the {source.name} engine, so its precision cannot be "
            "checked, and the engine is not trusted; it is not kept: build it with another version of the library"
        )
    if not _is_of(source.precision, found, compute, types):
        raise ExportError(
            f"the {source.name} engine was to be {source.precision}, but its convolutions and products are: "
            f"{_counts(compute)}, and its layers give out: {_counts(found)}; it is not kept"
        )
    sure = _is_of(source.precision, found, compute, types, fused=False)
    return found, CHECKED if sure else UNDETERMINED


def _is_of(
    precision: str, found: dict[str, int], compute: dict[str, int], types: TensorTypes, *, fused: bool = True
) -> bool:
    """Whether an engine is of a precision: at least half the share of its work that the graph has in it.

    The graph keeps some nodes in others on purpose, and the library fuses layers; neither halves the share. What a
    fused region is inside is not told: `fused` says whether it counts as right.
    """
    if precision == "fp32":
        return set(found) | set(compute) <= {"fp32", *([FUSED] if fused else [])}
    asked = types.compute.get(precision, 0) / max(sum(types.compute.values()), 1)
    right = compute.get(precision, 0) + (compute.get(FUSED, 0) if fused else 0)
    return right / sum(compute.values()) >= asked / 2 > 0


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))


def _runs_here(fingerprint: Fingerprint, machine: Machine) -> bool:
    return machine.gpu is not None and machine.gpu.sm in fingerprint.sm


def _build_error(library: Library, source: GraphSource) -> str:
    why = library.problem("it gives no reason")
    text = f"{library.name} {library.version} cannot build the {source.name} engine: {why}"
    if "out of memory" in why.lower() or "OutOfMemory" in why:
        return f"{text}; allow less with --workspace 256M, or a smaller largest size with --shapes"
    if "insufficient" in why and "driver" in why:
        return f"{text}; update the NVIDIA driver"
    return text


def _made_by(source: GraphSource) -> dict[str, int]:
    """What made the graph, if the bundle does not hold it."""
    return {"fp16_pass": FP16_PASS} if source.precision == "fp16" and "fp16" not in source.digests else {}


def _keep_times(config: Any, path: Path | None) -> None:
    """Write the timing cache; without room for it, the next build only takes longer."""
    times = None if path is None else config.get_timing_cache()
    if path is not None and times is not None:
        with suppress(OutputError):
            write_bytes(path, bytes(times.serialize()))


def _cuda_of(library: Library) -> int:
    """The CUDA that a library from PyPI was made for; 0 for one of JetPack, which brings its own driver."""
    for major in (13, 12):
        try:
            metadata.version(f"{library.name}_cu{major}")
        except metadata.PackageNotFoundError:
            continue
        return 1000 * major
    return 0
