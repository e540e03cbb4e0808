"""block8's kernels are launched with the right arguments, and arrays are kept until they are done. Without a GPU."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from farlook.kernels.block8 import UNIT_SAMPLES, Coefficients, Geometry
from farlook.kernels.cuda import block8 as transforms
from farlook.kernels.cuda.arrays import View
from farlook.runtime.errors import BackendError, ImageError

GEOMETRY = Geometry(70, 40, 3, 8)


class Stream:
    """A stream of cuda.core whose work is done when `done` says so."""

    def __init__(self, gpu):
        self.gpu, self.handle, self.waits = gpu, 7, 0

    def record(self):
        self.gpu.events += 1
        return SimpleNamespace(is_done=self.gpu.done)

    def sync(self):
        self.waits += 1


class Array:
    """An array on the GPU, of another library."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that notes what it is asked to launch."""
    found = SimpleNamespace(done=False, events=0, launches=[], refuses=False)
    streams = SimpleNamespace(set_current=lambda: None, create_stream=lambda: Stream(found), device_id=0)

    def launch(stream, config, kernel, *arguments):
        if found.refuses:
            raise RuntimeError("CUDA_ERROR_INVALID_VALUE")
        found.launches.append((kernel, config.grid, config.block, arguments))

    def view_of(array, device, stream, what):
        strides = np.empty(array.shape, array.dtype).strides
        return View(4096, array.shape, array.dtype, strides, (array,))

    core = SimpleNamespace(LaunchConfig=SimpleNamespace, launch=launch)
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    monkeypatch.setattr(transforms, "open_device", lambda number: streams)
    monkeypatch.setattr(transforms, "kernel_of", lambda device, source, name: name)
    monkeypatch.setattr(transforms, "stream_of", lambda device, stream: stream)
    monkeypatch.setattr(transforms, "view_of", view_of)
    monkeypatch.setattr(
        transforms,
        "allocate",
        lambda device, stream, shape, dtype: SimpleNamespace(address=8192, shape=shape),
    )
    monkeypatch.setattr(
        transforms,
        "upload",
        lambda device, stream, array: SimpleNamespace(address=array.nbytes + 1, of=array),
    )
    return found


def frame(geometry=GEOMETRY):
    return Array((geometry.height, geometry.width, *([3] if geometry.bands == 3 else [])), np.uint8)


def store(geometry=GEOMETRY):
    return Array((geometry.units, UNIT_SAMPLES), np.int16)


def test_kernels_get_their_arguments(gpu):
    grey = Geometry(70, 40, 1, 8)
    transforms.Analysis()(frame())
    transforms.Analysis()(frame(grey))
    transforms.Synthesis()(store(), GEOMETRY)
    transforms.Synthesis()(store(grey), grey)
    transforms.Synthesis().lists(Coefficients(GEOMETRY))
    assert [launch[:3] for launch in gpu.launches] == [
        ("b8_analysis_rgb", (1, 1), 192),
        ("b8_analysis_grey", (1, 1), 192),
        ("b8_synthesis_rgb", (1, 1), 256),
        ("b8_synthesis_grey", (1, 1), 256),
        ("b8_lists_rgb", (1, 1), 256),
    ]
    arguments = [launch[3] for launch in gpu.launches]
    assert arguments[:4] == [
        (4096, 210, 70, 40, 8192),
        (4096, 70, 70, 40, 8192),
        (4096, 70, 40, 8192, 210),
        (4096, 70, 40, 8192, 70),
    ]
    assert arguments[4][4:] == (70, 40, 8192, 210)
    assert [type(each) for each in arguments[0][1:4]] == [np.int64, np.int32, np.int32]


@pytest.mark.parametrize("direction", ["analysis", "synthesis"])
def test_arrays_are_kept_until_the_kernel_is_done(gpu, direction):
    transform = transforms.Analysis() if direction == "analysis" else transforms.Synthesis()

    def run(given, out=None):
        return transform(given, out=out) if direction == "analysis" else transform(given, GEOMETRY, out=out)

    given, out = (frame(), store()) if direction == "analysis" else (store(), frame())
    alive = [weakref.ref(given), weakref.ref(out)]
    run(given, out)
    del given, out
    gc.collect()
    assert all(each() is not None for each in alive)
    transform._pending = [(SimpleNamespace(is_done=True), used) for _, used in transform._pending]
    run(frame() if direction == "analysis" else store())
    gc.collect()
    assert all(each() is None for each in alive)


def test_threads_that_share_a_transform_lose_nothing(gpu):
    """One thread looks through what is pending while another looks, too, and adds to it."""
    transform, looking = transforms.Synthesis(), threading.Event()
    first, second = store(), store()

    class Slow:
        @property
        def is_done(self):
            if not looking.is_set():
                looking.set()
                other.join(0.2)
            return False

    def work():
        looking.wait()
        transform._launch("b8_lists_rgb", GEOMETRY, Stream(gpu), (), (first,))
        transform._begin(None)
        transform._launch("b8_lists_rgb", GEOMETRY, Stream(gpu), (), (second,))

    transform._pending = [(Slow(), ())]
    other = threading.Thread(target=work)
    other.start()
    transform._begin(None)
    other.join()
    assert [used for _, used in transform._pending] == [(), (first,), (second,)]


def test_a_result_for_the_caller_is_there_when_the_call_returns(gpu):
    synthesis, own = transforms.Synthesis(), Stream(gpu)
    synthesis(store(), GEOMETRY)
    assert synthesis._stream.waits == 0
    out = frame()
    assert synthesis(store(), GEOMETRY, out=out) is out
    assert synthesis._stream.waits == 1
    synthesis(store(), GEOMETRY, stream=own, out=out)
    assert (synthesis._stream.waits, own.waits) == (1, 0)


def test_a_kernel_that_is_refused_is_named(gpu):
    gpu.refuses = True
    with pytest.raises(
        BackendError, match="the GPU refused the kernel b8_analysis_rgb: CUDA_ERROR_INVALID_VALUE"
    ):
        transforms.Analysis()(frame())


def test_arrays_for_the_result_that_do_not_fit_are_refused(gpu):
    with pytest.raises(ImageError, match=r"the array for the result must be uint8 \[40, 70, 3\], in C order"):
        transforms.Synthesis()(store(), GEOMETRY, out=Array((40, 70), np.uint8))
    assert gpu.launches == []
