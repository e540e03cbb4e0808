"""Arrays on a GPU: those of other libraries taken in without a copy, and new ones for results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.device import CUDA, DeviceArray
from farlook.runtime.errors import BackendError, ImageError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEFAULT_STREAM = 1  # CU_STREAM_LEGACY


def is_device_array(value: object) -> bool:
    """Whether `value` is an array on an NVIDIA GPU: CuPy's, torch's, or any with one of the two protocols."""
    if hasattr(type(value), "__cuda_array_interface__"):
        try:
            return value.__cuda_array_interface__ is not None  # type: ignore[attr-defined]
        except (AttributeError, RuntimeError, TypeError):  # torch's arrays on the host have it, and raise
            return False
    ask = getattr(value, "__dlpack_device__", None)
    return callable(ask) and int(ask()[0]) == CUDA


@dataclass(frozen=True)
class View:
    """An array of another library.

    Attributes:
        pointer: Its address on the GPU.
        shape: Its sizes.
        dtype: Of its elements.
        strides: In bytes.
        owner: What keeps it alive.
    """

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]
    owner: Any


def view_of(array: Any, device: Any, stream: Any, what: str) -> View:
    """Look at an array on a GPU; work on `stream` is ordered after what its owner has begun.

    Args:
        array: With `__cuda_array_interface__` or `__dlpack__`.
        device: The `cuda.core.Device` where it must be.
        stream: Where it will be read or written.
        what: What to call it in errors.

    Raises:
        ImageError: It is no array, or not on that GPU.
    """
    if not is_device_array(array):
        raise ImageError(f"{what} is no array on a GPU, but a {type(array).__name__}")
    from cuda.core.utils import StridedMemoryView  # noqa: PLC0415  # optional, and there if a device is

    try:
        view = StridedMemoryView.from_any_interface(array, stream_ptr=int(stream.handle))
    except Exception as error:  # what others' arrays raise here shares no base
        raise ImageError(f"{what} cannot be taken from its {type(array).__name__}: {error}") from error
    if not view.is_device_accessible or view.device_id != device.device_id:
        where = f"GPU {view.device_id}" if view.is_device_accessible else "the host"
        raise ImageError(f"{what} is on {where}, but GPU {device.device_id} is to work on it")
    dtype = np.dtype(view.dtype)
    shape = tuple(int(side) for side in view.shape)
    counts = view.strides or tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    return View(int(view.ptr), shape, dtype, tuple(int(c) * dtype.itemsize for c in counts), (array, view))


def stream_of(device: Any, stream: Any) -> Any:  # cuda.core.Stream
    """A stream of another library as cuda.core's.

    Args:
        device: The `cuda.core.Device`.
        stream: cuda.core's own, one with `__cuda_stream__`, torch's, CuPy's, or an address.

    Raises:
        UsageError: It is none of these.
    """
    from cuda.core import Stream  # noqa: PLC0415  # optional, and there if a device is

    if isinstance(stream, Stream):
        return stream
    if hasattr(stream, "__cuda_stream__"):
        return device.create_stream(stream)
    address = getattr(stream, "cuda_stream", getattr(stream, "ptr", stream))  # torch's, CuPy's
    if not isinstance(address, int):
        raise UsageError(f"a {type(stream).__name__} is no CUDA stream")
    return Stream.from_handle(address or _DEFAULT_STREAM)


def allocate(device: Any, stream: Any, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
    """A new array on a GPU, its contents undefined.

    Raises:
        BackendError: There is no room for it.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    try:
        buffer = device.allocate(max(size, 1), stream=stream)
    except Exception as error:  # cuda.core's errors share no public base
        raise BackendError(f"the GPU has no room for {size} bytes: {error}") from error
    place = (CUDA, int(device.device_id))
    return DeviceArray(
        int(buffer.handle), shape, kind, int(stream.handle), (buffer, stream), _wait_for, place
    )


def to_host(array: DeviceArray, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """A copy on the host; waits until the array is written.

    Args:
        array: On the GPU that is the calling thread's.
        out: Contiguous, of the same shape and type, for the copy; None: a new array.

    Raises:
        BackendError: The GPU failed.
    """
    from cuda.core import Stream  # noqa: PLC0415  # optional, and there if a device is

    host = np.empty(array.shape, array.dtype) if out is None else out
    if host.nbytes:
        _copy("cuMemcpyDtoHAsync", host.ctypes.data, array.address, host.nbytes, array.stream)
    try:
        Stream.from_handle(array.stream).sync()
    except Exception as error:  # cuda.core's errors share no public base
        raise BackendError(f"the GPU failed in what makes an array: {error}") from error
    return host


def upload(device: Any, stream: Any, array: NDArray[Any]) -> DeviceArray:
    """A copy of a host's array on a GPU; `array` may be changed once this returns."""
    host = np.ascontiguousarray(array)
    copy = allocate(device, stream, host.shape, host.dtype)
    if host.nbytes:
        _copy("cuMemcpyHtoDAsync", copy.address, host.ctypes.data, host.nbytes, copy.stream)
    return copy


def _copy(function: str, to: int, source: int, size: int, stream: int) -> None:
    from cuda.bindings import driver  # noqa: PLC0415  # optional, and there if a device is

    (status,) = getattr(driver, function)(to, source, size, stream)
    if status != driver.CUresult.CUDA_SUCCESS:
        raise BackendError(f"the NVIDIA driver failed to copy {size} bytes: {status.name}")


def _wait_for(waiter: int, waited: int) -> None:
    """Let one stream wait for what another has begun; both by address."""
    from cuda.core import Stream  # noqa: PLC0415  # optional, and there if a device is

    Stream.from_handle(waiter).wait(Stream.from_handle(waited))
