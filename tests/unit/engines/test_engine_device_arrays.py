"""DLPack and the CUDA array interface, on memory of the host, which numpy can check."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

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


@pytest.fixture
def runtime(wait_for):
    """As much of CUDA's runtime as arrays need."""
    return SimpleNamespace(wait_for=wait_for, place_of=lambda address: 0)


class OnGpu:
    """An array of another library that says of memory of the host that it is on a GPU, by DLPack and by the interface.

    `versioned` says whether it knows of versions of DLPack; its interface is version 2, as PyTorch's.
    """

    def __init__(self, array, *, versioned=True, device=0):
        self.array, self.versioned, self.device, self.streams = array, versioned, device, []

    @property
    def __cuda_array_interface__(self):
        data = (self.array.ctypes.data, False)
        return {"shape": self.array.shape, "typestr": self.array.dtype.str, "data": data, "version": 2}

    def __dlpack_device__(self):
        return CUDA, self.device

    def __dlpack__(self, *, stream, **options):
        if options and not self.versioned:
            raise TypeError("got an unexpected keyword argument 'max_version'")
        capsule = self.array.__dlpack__(**options)  # older versions of numpy know of no versions of DLPack
        self.streams.append(stream)
        return capsule


@pytest.mark.parametrize("versioned", [True, False])
def test_dlpack_comes_before_an_interface_that_names_no_stream(runtime, waits, versioned):
    array = OnGpu(ramp(), versioned=versioned)
    found = device_array(array, "x", 9, runtime)
    assert found.address == array.array.ctypes.data
    assert array.streams == [9]  # it is the other library that lets 9 wait
    assert waits == []


def test_an_interface_without_a_stream_is_waited_for_on_the_default_stream(runtime, waits):
    array = OnGpu(ramp())
    bare = SimpleNamespace(__cuda_array_interface__=array.__cuda_array_interface__)
    found = device_array(bare, "x", 9, runtime)
    assert (found.address, found.owner) == (array.array.ctypes.data, bare)
    assert waits == [(9, 1)]


def test_an_array_that_its_library_does_not_give_is_an_error(runtime):
    array = OnGpu(ramp())
    array.array = None
    with pytest.raises(BackendError, match="x cannot be taken from its OnGpu: 'NoneType'"):
        device_array(array, "x", 9, runtime)


def test_an_array_of_another_gpu_is_refused(runtime):
    with pytest.raises(
        BackendError, match=r"x lies on GPU 2, but farlook runs on GPU 0.*CUDA_VISIBLE_DEVICES"
    ):
        device_array(OnGpu(ramp(), device=2), "x", 9, runtime)


def test_memory_is_kept_until_what_was_taken_goes(runtime):
    values = ramp()
    alive = weakref.ref(values)
    found = device_array(OnGpu(values), "x", 9, runtime)
    del values
    gc.collect()
    assert alive() is not None
    del found
    gc.collect()
    assert alive() is None


def test_a_read_only_array_is_taken_as_such(runtime):
    values = ramp()
    assert not device_array(OnGpu(values), "x", 9, runtime).read_only
    values.flags.writeable = False
    try:
        values.__dlpack__(max_version=(1, 0))
    except (TypeError, BufferError):
        pytest.skip("this numpy does not give read-only arrays by DLPack")
    found = device_array(OnGpu(values), "x", 9, runtime)
    assert (found.address, found.shape, found.read_only) == (values.ctypes.data, values.shape, True)
    assert found.__cuda_array_interface__["data"] == (found.address, True)


def test_a_capsule_that_others_took_over_is_refused():
    capsule = over(ramp()).__dlpack__()

    class Giver:
        def __dlpack__(self, **_):
            return capsule

        def __dlpack_device__(self):
            return HOST, 0

    np.from_dlpack(Giver())
    with pytest.raises(BackendError, match="x comes as a DLPack capsule that others took over"):
        read_capsule(capsule, "x", 3)


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


@pytest.mark.parametrize(("code", "bits"), [(0, 128), (1, 128), (2, 8), (6, 16)])
def test_types_that_numpy_lacks_are_refused(code, bits):
    capsule = over(ramp()).__dlpack__()
    tensor, _ = device._tensor_of(capsule, "x")
    tensor.code, tensor.bits = code, bits
    with pytest.raises(BackendError, match=f"x has a type that numpy lacks: DLPack code {code}, {bits} bits"):
        read_capsule(capsule, "x", 3)


def bare(array, **fields):
    """What has the interface of an array alone."""
    given = {
        "shape": array.shape,
        "typestr": array.dtype.str,
        "data": (array.ctypes.data, False),
        "version": 3,
    }
    return SimpleNamespace(__cuda_array_interface__=given | {"stream": None} | fields)


@pytest.mark.parametrize(("strides", "fits"), [(None, True), ((4,), True), ((6,), False), ((8,), False)])
def test_strides_of_the_interface_are_compared_in_bytes(runtime, strides, fits):
    array = bare(np.arange(4, dtype=np.float32), strides=strides)
    if fits:
        assert device_array(array, "x", 9, runtime).shape == (4,)
    else:
        with pytest.raises(BackendError, match="x is not in C order"):
            device_array(array, "x", 9, runtime)


def test_a_type_of_the_interface_that_numpy_lacks_is_refused(runtime):
    with pytest.raises(BackendError, match="x has a type that numpy lacks: <i16"):
        device_array(bare(ramp(), typestr="<i16"), "x", 9, runtime)


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


@pytest.mark.parametrize("asked", [{"copy": True}, {"dl_device": (HOST, 0)}, {"dl_device": (CUDA, 1)}])
def test_copies_and_other_devices_are_refused(asked, waits, wait_for):
    array = over(ramp(), wait_for=wait_for, device=(CUDA, 0))
    with pytest.raises(BufferError, match="farlook"):
        array.__dlpack__(stream=7, **asked)
    assert waits == []


@pytest.mark.parametrize(
    "asked", [{"copy": False}, {"copy": None}, {"dl_device": (HOST, 0)}, {"max_version": (1, 0)}]
)
def test_what_is_served_may_be_asked_for(asked):
    capsule = over(ramp()).__dlpack__(**asked)
    assert read_capsule(capsule, "x", 3).shape == (2, 3, 4)


def test_own_arrays_come_back_on_the_new_stream(waits, runtime):
    array = over(ramp(), device=(CUDA, 0))
    found = device_array(array, "x", 9, runtime)
    assert (found.address, found.stream, found.owner) == (array.address, 9, array)
    assert waits == [(9, 5)]
    assert device_array(found, "x", 9, runtime).stream == 9
    assert waits == [(9, 5)]


def test_an_array_of_the_host_is_refused(runtime):
    with pytest.raises(BackendError, match="x does not lie on an NVIDIA GPU"):
        device_array(ramp(), "x", 9, runtime)
