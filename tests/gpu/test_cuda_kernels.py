"""block8's CUDA kernels on a GPU against the C core, bit for bit. Left out where the driver lists no GPU."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.kernels.block8 import UNIT_SAMPLES, Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.kernels.cuda.arrays import to_host, upload
from farlook.kernels.cuda.block8 import Analysis, Synthesis
from farlook.kernels.cuda.device import count_devices, open_device
from farlook.runtime.block8.decode import decode_tiles
from farlook.runtime.block8.stream import read_stream
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BackendError, ImageError

SIZES = [(1, 1), (33, 17), (131, 65), (1001, 700), (1920, 1080)]


@pytest.fixture(scope="module", autouse=True)
def device():
    try:
        count_devices()
    except BackendError as error:
        pytest.skip(str(error))
    return open_device(0)


@pytest.fixture(scope="module")
def stream(device):
    return device.create_stream()


@pytest.fixture(scope="module")
def core():
    return Core(Tables.unpack(find_bundle("block8").tables()))


def noise(width, height, bands):
    rng = np.random.default_rng(width + height + bands)
    return rng.integers(0, 256, (height, width, 3)[: 3 if bands == 3 else 2], np.uint8)


def geometry_of(image):
    return Geometry(image.shape[1], image.shape[0], 1 if image.ndim == 2 else 3, 8)


def assert_same_streams(core, image, store):
    geometry = geometry_of(image)
    for step in (0, 300):
        settings = core.settings(geometry, step=step, mtu=1024, interleave=True)
        coded = core.encode_stored(store, 0, geometry.units_y, settings)
        assert coded == core.encode_rows(np.ascontiguousarray(image), 0, geometry.units_y, settings)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_streams_from_the_gpu_are_the_c_cores(device, stream, core, width, height, bands):
    image = noise(width, height, bands)
    store = Analysis()(upload(device, stream, image))
    assert store.shape == (geometry_of(image).units, UNIT_SAMPLES)
    assert_same_streams(core, image, to_host(store))


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_pixels_from_the_gpu_are_the_c_cores(core, block8, width, height, bands):
    image = noise(width, height, bands)
    coefficients = decode_tiles(core, *read_stream(block8.encode(image, quality=70)), 1)
    expected = np.empty_like(image)
    core.synthesise(coefficients.geometry, 0, coefficients.geometry.units_y, coefficients, expected)
    np.testing.assert_array_equal(to_host(Synthesis().lists(coefficients)), expected)


def test_there_and_back_is_the_same_as_in_the_c_core(device, stream, kodim):
    store = Analysis()(upload(device, stream, kodim))
    image = to_host(Synthesis()(store, geometry_of(kodim)))
    assert np.abs(image.astype(int) - kodim).mean() < 2  # chroma has half the resolution


def test_torch_gives_and_takes_without_a_copy(core, kodim):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    image = torch.as_tensor(np.array(kodim), device="cuda")[5:300, 7:403]
    store = torch.from_dlpack(Analysis()(image))
    assert_same_streams(core, kodim[5:300, 7:403], store.cpu().numpy())
    taken = torch.as_tensor(Analysis()(image), device="cuda")
    assert torch.equal(taken, store)
    out = torch.empty_like(store)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        assert Analysis()(image, stream=stream, out=out) is out
        assert torch.equal(out, store)


def test_codecs_take_frames_on_the_gpu(device, stream, block8, kodim):
    there = upload(device, stream, kodim)
    for target in ({"quality": 40}, {"bpp": 0.3}, {"quality": 40, "layout": "progressive"}):
        assert block8.encode(there, **target) == block8.encode(kodim, **target)


def test_codecs_give_frames_on_the_gpu(block8, kodim):
    data = block8.encode(kodim, quality=40)
    np.testing.assert_array_equal(to_host(block8.decode_to_device(data)), block8.decode(data))


def test_arrays_of_another_kind_are_refused(device, stream):
    with pytest.raises(ImageError, match="uint8"):
        Analysis()(upload(device, stream, np.zeros((8, 8), np.uint16)))
    with pytest.raises(ImageError, match="no array on a GPU"):
        Analysis()(np.zeros((8, 8), np.uint8))
