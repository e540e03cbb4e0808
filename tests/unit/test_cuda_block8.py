"""block8's CUDA kernels, compiled as C++ and run on the host, against the C core: bit for bit.

No GPU is needed; tests/gpu runs the same kernels on one.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from farlook.kernels.block8 import UNIT_SAMPLES, Coefficients, Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.kernels.cuda.compile import FOLDER
from farlook.runtime.block8 import codec as codec_module
from farlook.runtime.block8.decode import decode_tiles
from farlook.runtime.block8.stream import read_stream
from farlook.runtime.bundle import find_bundle

COMPILER = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler is installed")

SIZES = [(1, 1), (7, 9), (33, 17), (130, 66), (131, 65), (257, 129), (40, 200)]
FLAGS = ("-O1", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")
WRAPS = ("-fwrapv", "-fno-strict-aliasing")  # as CUDA has it


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The kernels as functions of a library."""
    library = tmp_path_factory.mktemp("cuda") / "kernels.so"
    source = Path(__file__).with_name("cuda_host.cpp")
    subprocess.run(
        [COMPILER, *FLAGS, *WRAPS, "-shared", "-fPIC", "-I", FOLDER, "-o", library, source], check=True
    )
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def core():
    return Core(Tables.unpack(find_bundle("block8").tables()))


def noise(width, height, bands, levels=256):
    rng = np.random.default_rng(width * height + bands)
    values = rng.integers(0, levels, (height, width, 3)[: 3 if bands == 3 else 2]) * (255 // (levels - 1))
    return values.astype(np.uint8)


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def analyse(kernels, image, backwards=0):
    """The kernel's store, or what was in its memory before."""
    height, width = image.shape[:2]
    geometry = Geometry(width, height, 1 if image.ndim == 2 else 3, 8)
    store = np.full((geometry.units, UNIT_SAMPLES), -12345, np.int16)
    stride = ctypes.c_longlong(image.strides[0])
    kernels.host_analysis(geometry.bands, pointer(image), stride, width, height, pointer(store), backwards)
    return store


def whole_columns(store, geometry):
    """Block columns that the picture has, all rows of their units: int16 [unit rows, block columns, 256], by plane."""
    columns = store.reshape(geometry.units_y, geometry.units_x, 6, 256)
    luma = columns[:, :, :4].reshape(geometry.units_y, -1, 256)[:, : geometry.blocks(0)[1]]
    chroma = columns[:, :, 4:].reshape(geometry.units_y, -1, 256)[:, : geometry.blocks(1)[1]]
    return luma, chroma


def assert_same_store(store, image, core):
    geometry = Geometry(image.shape[1], image.shape[0], 1 if image.ndim == 2 else 3, 8)
    contiguous = np.ascontiguousarray(image)
    expected = core.store_rows(contiguous, 0, geometry.units_y, core.settings(geometry, step=0, mtu=1024))
    for got, right in zip(whole_columns(store, geometry), whole_columns(expected, geometry), strict=True):
        np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("backwards", [0, 1])
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_analysis_gives_the_c_cores_coefficients(kernels, core, width, height, bands, backwards):
    for levels in (2, 256):
        image = noise(width, height, bands, levels)
        assert_same_store(analyse(kernels, image, backwards), image, core)


def test_a_photograph_gives_the_c_cores_coefficients(kernels, core, kodim, grey):
    assert_same_store(analyse(kernels, kodim), kodim, core)
    assert_same_store(analyse(kernels, grey), grey, core)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("skipped", [1, 2, 3])
def test_rows_may_begin_at_any_byte(kernels, core, bands, skipped):
    wide = noise(200, 40, bands)
    image = wide[3:, skipped : skipped + 150]
    assert_same_store(analyse(kernels, image), image, core)


@pytest.mark.parametrize("interleave", [False, True])
def test_streams_from_the_kernels_store_are_the_c_cores(kernels, core, kodim, interleave):
    height, width = kodim.shape[:2]
    geometry = Geometry(width, height, 3, 8)
    settings = core.settings(geometry, step=380, mtu=1024, interleave=interleave)
    rows = (0, geometry.units_y)
    coded = core.encode_stored(analyse(kernels, kodim), *rows, settings)
    assert coded == core.encode_rows(kodim, *rows, settings)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 40},
        {"bpp": 0.3},
        {"budget": 20000, "interleave": False},
        {"quality": 30, "layout": "progressive"},
        {"bpp": 0.3, "layout": "progressive"},
        {"quality": 40, "roi": [(10, 20, 100, 50)]},
    ],
)
@pytest.mark.parametrize("bands", [1, 3])
def test_codecs_code_a_gpus_store_to_the_same_bytes(kernels, block8, kodim, monkeypatch, bands, options):
    """All of the codec's ways from a store on, the kernel being run on the host."""
    image = np.ascontiguousarray(kodim[:500, :750] if bands == 3 else kodim[:500, :750, 1])
    expected = block8.encode(image, **options)
    geometry = Geometry(750, 500, bands, 8)
    monkeypatch.setattr(codec_module, "is_device_array", lambda array: True)
    monkeypatch.setattr(codec_module, "store_of", lambda array: (geometry, analyse(kernels, array)))
    assert block8.encode(image, **options) == expected


def test_large_pictures_are_coded_slice_by_slice_from_a_store(kernels, block8, kodim, monkeypatch):
    image = np.tile(kodim, (4, 3, 1))
    expected = block8.encode(image, bpp=0.2)
    geometry = Geometry(image.shape[1], image.shape[0], 3, 8)
    monkeypatch.setattr(codec_module, "is_device_array", lambda array: True)
    monkeypatch.setattr(codec_module, "store_of", lambda array: (geometry, analyse(kernels, array)))
    assert block8.encode(image, bpp=0.2) == expected


def store_of(coefficients):
    """Decoded lists as a store."""
    geometry = coefficients.geometry
    store = np.zeros((geometry.units, UNIT_SAMPLES), np.int16)
    block = 0
    for plane in range(geometry.bands):
        side, lane = (4, 0) if plane == 0 else (2, 16 * (plane - 1))
        for y, x in np.ndindex(geometry.blocks(plane)):
            unit = y // side * geometry.units_x + x // side
            at = 256 * (x % side + (0 if plane == 0 else 4)) + lane + 8 * (y % side)
            begin = coefficients.starts[block]
            entries = coefficients.entries[begin : begin + coefficients.counts[block]]
            store[unit, at] = coefficients.means[block]
            store[unit, at + (entries >> 16).astype(int)] = entries.astype(np.uint16).view(np.int16)
            block += 1
    return store


def rebuild(kernels, coefficients, *, listed, backwards=0):
    geometry = coefficients.geometry
    image = np.full((geometry.height, geometry.width, 3)[: 3 if geometry.bands == 3 else 2], 77, np.uint8)
    where = (geometry.width, geometry.height, pointer(image), ctypes.c_longlong(image.strides[0]), backwards)
    if listed:
        starts, entries = coefficients.lists()
        lists = (pointer(coefficients.means), pointer(starts), pointer(coefficients.counts), pointer(entries))
        kernels.host_lists(geometry.bands, *lists, *where)
    else:
        store = store_of(coefficients)
        kernels.host_synthesis(geometry.bands, pointer(store), *where)
    return image


def assert_same_picture(kernels, core, coefficients):
    geometry = coefficients.geometry
    expected = np.empty((geometry.height, geometry.width, 3)[: 3 if geometry.bands == 3 else 2], np.uint8)
    core.synthesise(geometry, 0, geometry.units_y, coefficients, expected)
    for listed in (False, True):
        for backwards in (0, 1):
            image = rebuild(kernels, coefficients, listed=listed, backwards=backwards)
            np.testing.assert_array_equal(image, expected)


def decoded(core, block8, image, quality):
    return decode_tiles(core, *read_stream(block8.encode(image, quality=quality)), 1)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_synthesis_gives_the_c_cores_pixels(kernels, core, block8, width, height, bands):
    for levels, quality in ((2, 100), (256, 1)):
        image = noise(width, height, bands, levels)
        assert_same_picture(kernels, core, decoded(core, block8, image, quality))


def test_a_photograph_comes_back_as_from_the_c_core(kernels, core, block8, kodim, grey):
    assert_same_picture(kernels, core, decoded(core, block8, kodim[:256, :384], 60))
    assert_same_picture(kernels, core, decoded(core, block8, grey[:256, :384], 60))


@pytest.mark.parametrize("bands", [1, 3])
def test_coefficients_that_overflow_wrap_as_in_the_c_core(kernels, core, bands):
    geometry = Geometry(257, 129, bands, 8)
    rng = np.random.default_rng(bands)
    coefficients = Coefficients(geometry)
    blocks, kept = len(coefficients.means), 20
    coefficients.means[:] = rng.integers(-32768, 32768, blocks)
    coefficients.counts[:] = kept
    coefficients.starts[:] = kept * np.arange(blocks)
    places = rng.permuted(np.tile(np.arange(1, 64), (blocks, 1)), axis=1)[:, :kept]
    values = rng.integers(-32767, 32768, places.shape)
    entries = ((places >> 3) * 32 + (places & 7)) << 16 | (values & 0xFFFF)
    coefficients.entries[: entries.size] = entries.ravel().astype(np.uint32)
    assert_same_picture(kernels, core, coefficients)


def test_lists_lose_nothing(core, block8, kodim):
    coefficients = decoded(core, block8, kodim[:200, :300], 50)
    starts, entries = coefficients.lists()
    assert len(entries) == coefficients.counts.sum() > 1000
    for block, count in enumerate(coefficients.counts):
        begin = coefficients.starts[block]
        expected = coefficients.entries[begin : begin + count]
        np.testing.assert_array_equal(entries[starts[block] : starts[block] + count], expected)


@dataclass
class Bounds:
    """The largest values that sums of samples, all of at most `sample`, can have."""

    sample: float
    largest: float = 0.0


@dataclass
class Sum:
    """Weights of samples, and how far rounding can move the sum."""

    bounds: Bounds
    weights: np.ndarray
    error: float = 0.0

    def __post_init__(self):
        self.bounds.largest = max(self.bounds.largest, self.bound)

    @property
    def bound(self):
        return self.bounds.sample * np.abs(self.weights).sum() + self.error

    def __add__(self, other):
        return Sum(self.bounds, self.weights + other.weights, self.error + other.error)

    def __sub__(self, other):
        return Sum(self.bounds, self.weights - other.weights, self.error + other.error)

    def __mul__(self, constant):
        scale = constant / 32768
        return Sum(self.bounds, self.weights * scale, self.error * abs(scale) + 0.5)


LAP = (
    (-885, 12411, 5050, 2905),
    (-9089, -1933, 9461, 2856),
    (1791, -6106, 1016, 5486),
    (-521, 55, -2163, 2393),
)
DOWN = (5793, 7568, 3135, 8035, 6811, 4551, 1598)
ACROSS = (11585, 15137, 6270, 16069, 13623, 9102, 3196)


def dot(values, weights):
    return values[0] * weights[0] + values[1] * weights[1] + values[2] * weights[2] + values[3] * weights[3]


def filtered(x):
    d = [x[4 + i] - x[3 - i] for i in range(4)]
    e = [dot(d, row) for row in LAP]
    return [*(x[i] - e[3 - i] for i in range(4)), *(x[4 + i] + e[i] for i in range(4))]


def transformed(x, constants):
    c0, c2, c6, c1, c3, c5, c7 = constants
    s = [x[i] + x[7 - i] for i in range(4)]
    d = [x[i] - x[7 - i] for i in range(4)]
    p, q, t, u = s[0] + s[3], s[1] + s[2], s[0] - s[3], s[1] - s[2]
    odd = ((c1, c3, c5, c7), (c3, -c7, -c1, -c5), (c5, -c1, c7, c3), (c7, -c5, c3, -c1))
    even = [(p + q) * c0, (p - q) * c0, t * c2 + u * c6, t * c6 - u * c2]
    return even + [dot(d, row) for row in odd]


def bounds_of(constants, sample):
    """The largest value on the way, and the largest result, for a block with and without its filters."""
    bounds, results = Bounds(sample), []
    for left in (False, True):
        for right in (False, True):
            x = [Sum(bounds, row) for row in np.eye(24)]
            x[4:12] = filtered(x[4:12]) if left else x[4:12]
            x[12:20] = filtered(x[12:20]) if right else x[12:20]
            results += [value.bound for value in transformed(x[8:16], constants)]
    return bounds.largest, max(results)


def test_no_picture_leaves_16_bits_in_the_analysis():
    """The analysis keeps sums in 32 bits, where the C core wraps at 16: the same, as none gets there."""
    on_the_way, result = bounds_of(DOWN, 1024)
    assert on_the_way < 32767
    on_the_way, result = bounds_of(ACROSS, result)
    assert on_the_way < 32767
    assert result < 32767
