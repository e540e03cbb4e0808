"""DLPack and the CUDA array interface, on memory of the host, which numpy can check."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from farlook.runtime.backends import device
from farlook.runtime.backends.device import CUDA, HOST, DeviceArray, device_array, read_capsule
from farlook.runtime.errors import BackendError


@pytest.fixture
def waits():
    """Streams that were made to wait, each with the one that it waits for."""
    return []


@pytest.fixture
def wait_for(waits):
    return lambda stream, other: waits.append((stream, other))


def over(array, **fields):
    """A `DeviceArray` over an array of the host."""
    fields = {"stream": 5, "owner": array, "device": (HOST, 0)} | fields
    return DeviceArray(array.ctypes.data, array.shape, array.dtype, **fields)


def ramp(dtype=np.float32):
    return np.arange(24).reshape(2, 3, 4).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int8", "int32", "int64", "bool"])
def test_numpy_takes_a_capsule(dtype):
    array = ramp(dtype)
    np.testing.assert_array_equal(np.from_dlpack(over(array)), array)


def test_a_capsule_keeps_the_memory_and_lets_it_go():
    array = ramp()
    alive = weakref.ref(array)
    taken = np.from_dlpack(over(array))
    del array
    gc.collect()
    assert alive() is not None
    np.testing.assert_array_equal(taken, ramp())
    del taken
    gc.collect()
    assert alive() is None


def test_a_capsule_that_nobody_takes_goes_by_itself():
    before = len(device._exported)
    capsule = over(ramp()).__dlpack__()
    assert len(device._exported) == before + 1
    del capsule
    gc.collect()
    assert len(device._exported) == before


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int64"])
def test_a_capsule_of_another_library_is_read(dtype):
    array = ramp(dtype)
    found = read_capsule(array.__dlpack__(), "x", 3)
    assert (found.address, found.shape, found.dtype) == (array.ctypes.data, array.shape, array.dtype)
    assert (found.stream, found.device) == (3, (HOST, 0))
    assert found.nbytes == array.nbytes


@pytest.mark.parametrize("view", [np.transpose, lambda array: array[:, ::2], lambda array: array[:, :2]])
def test_arrays_not_in_c_order_are_refused(view):
    with pytest.raises(BackendError, match="x is not in C order"):
        read_capsule(view(ramp()).__dlpack__(), "x", 3)


def test_strides_of_dimensions_of_one_mean_nothing():
    array = np.ones((4, 1, 6), np.float32)[::4]
    assert read_capsule(array.__dlpack__(), "x", 3).shape == (1, 1, 6)


def test_complex_numbers_are_refused():
    with pytest.raises(BackendError, match="x has a type that numpy lacks: DLPack code 5"):
        read_capsule(np.ones(3, np.complex64).__dlpack__(), "x", 3)


def test_the_interface_says_where_the_array_is_and_what_to_wait_for():
    array = ramp()
    assert over(array).__cuda_array_interface__ == {
        "shape": (2, 3, 4),
        "typestr": "<f4",
        "data": (array.ctypes.data, False),
        "strides": None,
        "stream": 5,
        "version": 3,
    }
    assert over(array, stream=0).__cuda_array_interface__["stream"] == 1


@pytest.mark.parametrize(("stream", "waiting"), [(7, [(7, 5)]), (None, [(1, 5)]), (-1, [])])
def test_who_takes_a_capsule_has_its_stream_wait(stream, waiting, waits, wait_for):
    over(ramp(), wait_for=wait_for).__dlpack__(stream=stream)
    assert waits == waiting


def test_own_arrays_come_back_on_the_new_stream(waits, wait_for):
    array = over(ramp(), device=(CUDA, 0))
    found = device_array(array, "x", 9, wait_for)
    assert (found.address, found.stream, found.owner) == (array.address, 9, array)
    assert waits == [(9, 5)]
    assert device_array(found, "x", 9, wait_for).stream == 9
    assert waits == [(9, 5)]


def test_an_array_of_the_host_is_refused(wait_for):
    with pytest.raises(BackendError, match="x does not lie on an NVIDIA GPU"):
        device_array(ramp(), "x", 9, wait_for)
