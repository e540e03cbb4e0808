"""What is told from arrays that others bring: on a GPU or not, and whether it is a picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from farlook.kernels.cuda.arrays import View, is_device_array, view_of
from farlook.kernels.cuda.block8 import geometry_of
from farlook.runtime.errors import ImageError


class OnDevice:
    """An array on a GPU, by the older protocol."""

    @property
    def __cuda_array_interface__(self):
        return {"shape": (3, 4), "typestr": "|u1", "data": (4096, False), "version": 3}


class OnDeviceByDlpack:
    def __dlpack_device__(self):
        return 2, 0


class OnHost:
    """As torch's tensors of the host: the property is there, and raises."""

    @property
    def __cuda_array_interface__(self):
        raise AttributeError("on the host")

    def __dlpack_device__(self):
        return 1, 0


@pytest.mark.parametrize("array", [OnDevice(), OnDeviceByDlpack()])
def test_arrays_on_a_gpu_are_known(array):
    assert is_device_array(array)


@pytest.mark.parametrize("array", [OnHost(), np.zeros((3, 4), np.uint8), [1, 2], None, b"bytes"])
def test_other_things_are_none(array):
    assert not is_device_array(array)
    with pytest.raises(ImageError, match="the picture is no array on a GPU, but a"):
        view_of(array, SimpleNamespace(device_id=0), SimpleNamespace(handle=1), "the picture")


def frame(shape, strides=None, dtype=np.uint8):
    dense = np.zeros(shape, dtype).strides if min(shape, default=0) >= 0 else None
    return View(4096, shape, np.dtype(dtype), strides or dense, None)


@pytest.mark.parametrize(
    ("view", "bands"),
    [
        (frame((3, 4)), 1),
        (frame((3, 4, 3)), 3),
        (frame((3, 4, 3), (100, 3, 1)), 3),
        (frame((1, 1, 3), (0, 7, 1)), 3),
    ],
)
def test_pictures_have_a_geometry(view, bands):
    geometry = geometry_of(view)
    assert (geometry.height, geometry.width, geometry.bands, geometry.depth) == (*view.shape[:2], bands, 8)


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (frame((3, 4), dtype=np.uint16), "uint8"),
        (frame((3, 4), dtype=np.float32), "uint8"),
        (frame((12,)), "shape"),
        (frame((3, 4, 4)), "shape"),
        (frame((0, 4)), "4x0 pixels"),
        (frame((2, 16385)), "16385x2 pixels"),
        (frame((3, 4, 3), (4, 1, 12)), "side by side"),
        (frame((3, 4), (-4, 1)), "side by side"),
        (frame((3, 4), (8, 2)), "side by side"),
    ],
)
def test_other_arrays_are_refused(view, words):
    with pytest.raises(ImageError, match=words):
        geometry_of(view)
