"""Arrays on the GPU, in and out without a copy: `__cuda_array_interface__` and DLPack.

PyTorch, CuPy, JAX and Numba give and take one of them or both: `torch.from_dlpack(array)`, `cupy.asarray(array)`.
DLPack's structures are in `dlpack.h`; a capsule that nobody takes over frees its tensor by itself.

DLPack comes first where an array has both: it orders streams, while PyTorch's interface names no stream, so that
whoever reads by it reads what is not written yet.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.cuda import GPU, LEGACY_STREAM
from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from farlook.runtime.backends.cuda import Cuda

HOST, CUDA, CUDA_MANAGED = 1, 2, 13
"""DLPack's kinds of devices."""

_KINDS = {"i": 0, "u": 1, "f": 2, "b": 6}
"""DLPack's type codes, by numpy's."""

_NAME, _VERSIONED_NAME = b"dltensor", b"dltensor_versioned"
_VERSION = (1, 0)
"""Newest DLPack that is read here: the first that tells read-only arrays."""
_READ_ONLY = 1
_STREAMED = 3
"""Version of the CUDA array interface from which on None says that there is no stream to wait for."""


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class _ManagedVersioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)

_python = ctypes.pythonapi
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _Destructor)(
    ("PyCapsule_New", _python)
)
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _python))
_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _python)
)
_pointer_at = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _python)
)


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """An array on the GPU, in C order.

    Attributes:
        address: Of its first byte.
        shape: Its dimensions.
        dtype: numpy's type of its elements.
        stream: The stream whose work it comes out of; whoever takes the array lets his own wait for it.
        owner: What keeps its memory.
        wait_for: Lets the first stream that it is given wait for the second; None on the host.
        device: DLPack's kind and number of the device.
        read_only: Whether nobody may write to it.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stream: int
    owner: Any
    wait_for: Callable[[int, int], None] | None = None
    device: tuple[int, int] = (CUDA, GPU)
    read_only: bool = False

    @property
    def nbytes(self) -> int:
        """Its size."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3: with the stream to wait for."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, self.read_only),
            "strides": None,
            "stream": self.stream or LEGACY_STREAM,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's kind and number of the device."""
        return self.device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,  # a capsule without a version fits all
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule; work on `stream` will wait for the array, as the protocol asks.

        Raises:
            BufferError: A copy is asked for, or another device than the array's: the array is given as it is.
        """
        if copy:
            raise BufferError("farlook gives its own memory, and no copy of it: copy the array that takes it")
        if dl_device is not None and tuple(map(int, dl_device)) != self.device:
            raise BufferError(
                f"the array lies on DLPack's device {self.device}, not {tuple(map(int, dl_device))}, and farlook does "
                "not move it: take it where it is, then move it"
            )
        if self.wait_for is not None and stream != -1:
            self.wait_for(LEGACY_STREAM if stream is None else int(stream), self.stream)
        return _export(self)


def device_array(value: Any, name: str, stream: int, cuda: Cuda) -> DeviceArray:
    """See an array that lies on the GPU as a `DeviceArray`, without a copy.

    Args:
        value: Anything with `__dlpack__`, which is preferred, or `__cuda_array_interface__`.
        name: What to call it in errors.
        stream: The stream that will use it; it is made to wait for what makes the array.
        cuda: CUDA's runtime.

    Raises:
        BackendError: It has neither, does not lie on the GPU that farlook uses, or is not in C order; or the
            library that it is of does not give it.
    """
    if isinstance(value, DeviceArray):
        _check_place(*value.device, name)
        if value.stream != stream:
            cuda.wait_for(stream, value.stream)
        return replace(value, stream=stream, owner=value)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        kind, number = value.__dlpack_device__()
        _check_place(int(kind), int(number), name)
        return read_capsule(_capsule(value, name, stream), name, stream)
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is None:
        raise BackendError(
            f"{name} is no array on the GPU: it has no __dlpack__ nor __cuda_array_interface__"
        )
    return _by_interface(value, interface, name, stream, cuda)


def read_capsule(capsule: Any, name: str, stream: int) -> DeviceArray:
    """See a DLPack capsule as an array; the capsule stays the owner, and must not be taken over by others.

    Raises:
        BackendError: It was taken over already, its type is unknown, or it is not in C order.
    """
    tensor, read_only = _tensor_of(capsule, name)
    kinds = {code: kind for kind, code in _KINDS.items()}
    if tensor.code not in kinds or tensor.lanes != 1 or tensor.bits % 8:
        raise BackendError(
            f"{name} has a type that numpy lacks: DLPack code {tensor.code}, {tensor.bits} bits"
        )
    told = f"DLPack code {tensor.code}, {tensor.bits} bits"
    dtype = _dtype(f"{kinds[tensor.code]}{tensor.bits // 8}", told, name)
    shape = tuple(tensor.shape[axis] for axis in range(tensor.ndim))
    strides = tuple(tensor.strides[axis] for axis in range(tensor.ndim)) if tensor.strides else None
    _check_order(shape, strides, name, 1)
    address = (tensor.data or 0) + tensor.byte_offset
    place = (int(tensor.device_type), int(tensor.device_id))
    return DeviceArray(address, shape, dtype, stream, capsule, device=place, read_only=read_only)


def _capsule(value: Any, name: str, stream: int) -> Any:
    """A capsule of an array; of those before DLPack 1.0 one that does not tell whether it is read-only."""
    try:
        try:
            return value.__dlpack__(stream=stream, max_version=_VERSION)
        except TypeError:  # it does not know of versions
            return value.__dlpack__(stream=stream)
    except Exception as error:  # what others' arrays raise here shares no base
        raise BackendError(f"{name} cannot be taken from its {type(value).__name__}: {error}") from error


def _tensor_of(capsule: Any, name: str) -> tuple[_Tensor, bool]:
    """What a capsule holds, and whether that is read-only."""
    try:
        return _Managed.from_address(_pointer(capsule, _NAME)).tensor, False
    except ValueError:  # it has another name
        pass
    try:
        managed = _ManagedVersioned.from_address(_pointer(capsule, _VERSIONED_NAME))
    except ValueError as error:
        raise BackendError(
            f"{name} comes as a DLPack capsule that others took over: give a new one"
        ) from error
    if managed.major > _VERSION[0]:
        raise BackendError(
            f"{name} comes by DLPack {managed.major}.{managed.minor}, newer than {_VERSION[0]}: update farlook"
        )
    return managed.tensor, bool(managed.flags & _READ_ONLY)


def _by_interface(value: Any, interface: dict[str, Any], name: str, stream: int, cuda: Cuda) -> DeviceArray:
    dtype, shape = _dtype(interface["typestr"], interface["typestr"], name), tuple(interface["shape"])
    _check_order(shape, interface.get("strides"), name, dtype.itemsize)
    address, read_only = interface["data"]
    number = cuda.place_of(int(address)) if int(address) else GPU  # of an array without elements it may be 0
    _check_place(HOST if number is None else CUDA, number or 0, name)
    other = interface.get("stream", LEGACY_STREAM)
    if other is None and int(interface.get("version", 0)) < _STREAMED:
        other = LEGACY_STREAM
    if other is not None and other != stream:
        cuda.wait_for(stream, int(other) or LEGACY_STREAM)
    return DeviceArray(int(address), shape, dtype, stream, value, cuda.wait_for, read_only=bool(read_only))


def _check_place(kind: int, number: int, name: str) -> None:
    """Refuse arrays of the host, and those of a GPU that farlook does not use."""
    if kind not in (CUDA, CUDA_MANAGED):
        raise BackendError(f"{name} does not lie on an NVIDIA GPU: run takes arrays of the host")
    if kind == CUDA and number != GPU:
        raise BackendError(
            f"{name} lies on GPU {number}, but farlook runs on GPU {GPU}: copy it there, or choose the GPU for the "
            "whole process with CUDA_VISIBLE_DEVICES"
        )


def _dtype(text: str, told: str, name: str) -> np.dtype[Any]:
    """A type by numpy's name; numpy has no floats of 8 bits, and no integers of 128."""
    try:
        return np.dtype(text)
    except TypeError as error:
        raise BackendError(f"{name} has a type that numpy lacks: {told}") from error


def _check_order(shape: tuple[int, ...], strides: tuple[int, ...] | None, name: str, unit: int) -> None:
    """Refuse anything but C order; strides of dimensions of 1 mean nothing.

    Args:
        shape: Of the array.
        strides: Between elements, in units; None for C order.
        name: What to call it in errors.
        unit: An element's stride in what strides are counted in: its bytes, or 1 where elements are counted.
    """
    expected = unit
    for length, step in zip(reversed(shape), reversed(strides or ()), strict=False):
        if length > 1 and step != expected:
            raise BackendError(f"{name} is not in C order: make a contiguous copy of it")
        expected *= length


_exported: dict[int, tuple[Any, ...]] = {}
"""What DLPack capsules that are in use point to, by address."""


def _export(array: DeviceArray) -> Any:
    shape = (ctypes.c_int64 * len(array.shape))(*array.shape)
    managed = _Managed()
    tensor = managed.tensor
    tensor.data, (tensor.device_type, tensor.device_id) = array.address, array.device
    tensor.ndim, tensor.shape, tensor.strides = len(array.shape), shape, None
    tensor.code, tensor.bits, tensor.lanes = _KINDS[array.dtype.kind], 8 * array.dtype.itemsize, 1
    managed.deleter = ctypes.cast(_deleter, ctypes.c_void_p)
    address = ctypes.addressof(managed)
    _exported[address] = (managed, shape, array)
    return _new_capsule(address, _NAME, _destructor)


def _forget(address: int) -> None:
    """What took the tensor over is done with it."""
    _exported.pop(address, None)


def _drop(capsule: int) -> None:
    """A capsule goes; if nobody took its tensor over (and renamed it), so does that."""
    if _is_valid(capsule, _NAME):
        _exported.pop(_pointer_at(capsule, _NAME), None)


_deleter, _destructor = _Deleter(_forget), _Destructor(_drop)
