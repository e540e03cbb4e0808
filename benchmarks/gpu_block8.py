"""block8's CUDA kernels: exact, and how fast beside a copy on the device; frames coded from the GPU and back."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.kernels.cuda.arrays import allocate, to_host, upload
from farlook.kernels.cuda.block8 import Analysis, Synthesis
from farlook.kernels.cuda.device import kernel_of, open_device
from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.block8.decode import decode_tiles, synthesise
from farlook.runtime.block8.stream import read_stream
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BackendError
from farlook.runtime.profile.frames import SIZES, fit
from farlook.runtime.profile.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Part = tuple[str, Callable[[], Any]]

_SIZES = ("1080p", "4k", "8k")
_SPREAD = 1 << 30
"""Bytes over which the frames of a measurement lie, so that no cache of a GPU holds them."""
_QUALITY = 50
_WARM_UP = 3
_EXACT_SIZES = ((1, 1), (33, 17), (131, 65), (1001, 700))


def measure_block8(picture: Picture, seconds: float) -> Iterator[Part]:
    """The parts: each a name, and what gives its results.

    Args:
        picture: RGB, from which frames of all sizes are made.
        seconds: Of every measurement.
    """
    yield "compile", compile_all
    yield "exact", partial(check_exact, picture)
    for size in _SIZES:
        for bands in (3, 1):
            frame = fit(picture if bands == 3 else np.ascontiguousarray(picture[..., 1]), *SIZES[size])
            yield f"kernels {size} {'rgb' if bands == 3 else 'grey'}", partial(time_kernels, frame, seconds)
        yield f"codec {size}", partial(time_codec, fit(picture, *SIZES[size]), seconds)


def compile_all() -> dict[str, float]:
    """Seconds to compile and load each source."""
    device = open_device()
    found = {}
    for source, name in (("analysis.cu", "b8_analysis_rgb"), ("synthesis.cu", "b8_synthesis_rgb")):
        start = perf_counter()
        kernel_of(device, source, name)
        found[source] = perf_counter() - start
    return found


def check_exact(picture: Picture) -> dict[str, Any]:
    """Streams and pixels of noise and of the picture, against the C core's."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (h, w, 3), np.uint8) for w, h in _EXACT_SIZES] + [
        fit(picture, *SIZES["1080p"])
    ]
    frames += [np.ascontiguousarray(frame[..., 0]) for frame in frames]
    wrong = [name for frame in frames for name in _differences(frame)]
    return {"frames": len(frames), "exact": not wrong, "wrong": wrong}


def _differences(frame: Picture) -> list[str]:
    codec = Block8Codec(find_bundle("block8"))
    core = Core(Tables.unpack(find_bundle("block8").tables()))
    device = open_device()
    stream = device.create_stream()
    name = f"{frame.shape[1]}x{frame.shape[0]}x{1 if frame.ndim == 2 else 3}"
    wrong = []
    for quality in (100, _QUALITY):
        data = codec.encode(frame, quality=quality)
        if codec.encode(upload(device, stream, frame), quality=quality) != data:
            wrong.append(f"stream of {name} at quality {quality}")
        header, packets = read_stream(data)
        coefficients = decode_tiles(core, header, packets, 1)
        right = synthesise(core, header, coefficients, 1)
        if not np.array_equal(to_host(Synthesis().lists(coefficients)), right):
            wrong.append(f"pixels of {name} at quality {quality}")
    return wrong


def time_kernels(frame: Picture, seconds: float) -> dict[str, Any]:
    """Each kernel and a copy on the device: milliseconds a frame, GB/s, and the share of the copy's."""
    device = open_device()
    stream = device.create_stream()
    geometry = Geometry(frame.shape[1], frame.shape[0], 1 if frame.ndim == 2 else 3, 8)
    analysis, synthesis = Analysis(), Synthesis()
    count = max(2, _SPREAD // (2 * frame.nbytes))
    images = [upload(device, stream, frame) for _ in range(count)]
    stores = [allocate(device, stream, (geometry.units, 1536), np.int16) for _ in range(count)]
    used = 1536 if geometry.bands == 3 else 1024
    moved = frame.nbytes + 2 * used * geometry.units
    stride, size = np.int64(frame.strides[0]), (np.int32(geometry.width), np.int32(geometry.height))
    kind = "rgb" if geometry.bands == 3 else "grey"

    # Without a look at the arrays, which takes the host longer than a small frame takes the GPU. The lists keep them.
    def analyse(i: int) -> None:
        arguments = (images[i].address, stride, *size, stores[i].address)
        analysis._launch(f"b8_analysis_{kind}", geometry, stream, arguments, ())

    def rebuild(i: int) -> None:
        arguments = (stores[i].address, *size, images[i].address, stride)
        synthesis._launch(f"b8_synthesis_{kind}", geometry, stream, arguments, ())

    works: dict[str, Callable[[int], None]] = {
        "copy": lambda i: _copy(images[i], images[i - 1], stream),
        "analysis": analyse,
        "synthesis": rebuild,
    }
    found: dict[str, Any] = {"width": geometry.width, "height": geometry.height, "bands": geometry.bands}
    for name, work in works.items():
        passed = 2 * frame.nbytes if name == "copy" else moved
        times = Statistics.of(_event_times(work, count, stream, seconds))
        found[name] = {
            "ms": {key: 1e3 * getattr(times, key) for key in ("minimum", "p50", "p90", "p99")},
            "GB/s": passed / times.p50 / 1e9,
            "MP/s": geometry.width * geometry.height / times.p50 / 1e6,
        }
    for name in ("analysis", "synthesis"):
        found[name]["share of a copy"] = found[name]["GB/s"] / found["copy"]["GB/s"]
    return found


def _event_times(work: Callable[[int], None], count: int, stream: Any, seconds: float) -> list[float]:
    """Seconds of a call, each the mean of `count` calls, recorded as a CUDA graph, between two events."""
    from cuda.bindings import driver  # noqa: PLC0415  # optional, and there if a device is

    for i in range(count):
        work(i)
    stream.sync()
    mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
    _ask(driver.cuStreamBeginCapture(stream.handle, mode))
    try:
        for i in range(count):
            work(i)
    finally:
        graph = _ask(driver.cuStreamEndCapture(stream.handle))
    ready = _ask(driver.cuGraphInstantiate(graph, 0))
    begin, end = (_ask(driver.cuEventCreate(0)) for _ in range(2))
    for _ in range(_WARM_UP):
        _ask(driver.cuGraphLaunch(ready, stream.handle))
    times: list[float] = []
    stop = perf_counter() + seconds
    while not times or perf_counter() < stop:
        _ask(driver.cuEventRecord(begin, stream.handle))
        _ask(driver.cuGraphLaunch(ready, stream.handle))
        _ask(driver.cuEventRecord(end, stream.handle))
        _ask(driver.cuEventSynchronize(end))
        times.append(_ask(driver.cuEventElapsedTime(begin, end)) / 1e3 / count)
    return times


def _copy(to: Any, source: Any, stream: Any) -> None:
    from cuda.bindings import driver  # noqa: PLC0415  # optional, and there if a device is

    _ask(driver.cuMemcpyDtoDAsync(to.address, source.address, source.nbytes, stream.handle))


def _ask(answer: tuple[Any, ...]) -> Any:
    """What a function of the driver gives besides its status."""
    status, *values = answer
    if int(status) != 0:
        raise BackendError(f"the NVIDIA driver failed: {status.name}")
    return values[0] if values else None


def time_codec(frame: Picture, seconds: float) -> dict[str, Any]:
    """Encoding a frame on the host and one on the GPU, and decoding to either: milliseconds."""
    device = open_device()
    there = upload(device, device.create_stream(), frame)
    codec = Block8Codec(find_bundle("block8"))
    data = codec.encode(frame, quality=_QUALITY)
    works: dict[str, Callable[[], object]] = {
        "encode from the host": lambda: codec.encode(frame, quality=_QUALITY),
        "encode from the GPU": lambda: codec.encode(there, quality=_QUALITY),
        "decode to the host": lambda: codec.decode(data),
        "decode to the GPU": lambda: _finished(codec.decode_to_device(data)),
        "decode to the host and copy": lambda: _finished(
            upload(device, device.create_stream(), codec.decode(data))
        ),
    }
    found: dict[str, Any] = {"bytes": len(data), "width": frame.shape[1], "height": frame.shape[0]}
    return found | {name: milliseconds(work, seconds) for name, work in works.items()}


def _finished(array: Any) -> None:
    from cuda.core import Stream  # noqa: PLC0415  # optional, and there if a device is

    Stream.from_handle(array.stream).sync()


def milliseconds(work: Callable[[], object], seconds: float) -> dict[str, float]:
    """Times of calls after a warm-up; none is left out."""
    for _ in range(_WARM_UP):
        work()
    times: list[float] = []
    stop = perf_counter() + seconds
    while not times or perf_counter() < stop:
        start = perf_counter()
        work()
        times.append(1e3 * (perf_counter() - start))
    found = Statistics.of(times)
    return {
        name: getattr(found, name) for name in ("count", "minimum", "p50", "p90", "p99", "maximum", "jitter")
    }
