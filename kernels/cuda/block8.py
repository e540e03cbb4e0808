"""block8's transform on a GPU, for frames that are there: the same integers as the C core's.

    Analysis    frame -> store: what `Core.store_rows` makes and `Core.encode_stored` codes
    Synthesis   store, or decoded lists -> frame

The decisions of the entropy coder depend on one another, and stay with the C core. It takes coefficients before any
quantisation from `Analysis`, so that streams are the same bytes.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import MAX_SIDE, UNIT, UNIT_SAMPLES, Geometry
from farlook.kernels.cuda.arrays import View, allocate, stream_of, upload, view_of
from farlook.kernels.cuda.device import kernel_of, open_device
from farlook.runtime.errors import BackendError, ImageError

if TYPE_CHECKING:
    from farlook.kernels.block8 import Coefficients

TILE = (4 * UNIT, 2 * UNIT)
"""Pixels across and down that a block of threads works on; transform.cuh has the same."""

_ANALYSIS_THREADS, _SYNTHESIS_THREADS = 192, 256


class _Transform:
    """What both directions need: a GPU, and a stream of our own.

    Args:
        device: Number of the GPU.

    Raises:
        MissingExtraError: cuda.core or NVRTC is not installed.
        BackendError: There is no driver, no GPU, or the driver is too old.
    """

    source: str
    threads: int
    kernels: tuple[str, ...]

    def __init__(self, device: int = 0) -> None:
        self.device = open_device(device)
        self._kernels = {name: kernel_of(self.device, self.source, name) for name in self.kernels}
        self._stream = self.device.create_stream()
        self._pending: list[tuple[Any, tuple[Any, ...]]] = []
        self._lock = Lock()

    def _begin(self, stream: Any) -> Any:  # cuda.core.Stream
        """Make the GPU the calling thread's, choose the stream, and let go of what is done."""
        self.device.set_current()
        with self._lock:
            pending = self._pending
            self._pending = [each for each in pending if not each[0].is_done]
        return self._stream if stream is None else stream_of(self.device, stream)

    def _launch(
        self, name: str, geometry: Geometry, stream: Any, arguments: tuple[Any, ...], used: tuple[Any, ...]
    ) -> None:
        """Put a kernel on a stream.

        Args:
            name: The kernel's.
            geometry: The picture's, which the grid covers.
            stream: A `cuda.core.Stream`.
            arguments: The kernel's.
            used: What keeps the memory that it reads and writes, which must not be given to others until it is done.

        Raises:
            BackendError: The GPU refuses it.
        """
        from cuda.core import LaunchConfig, launch  # noqa: PLC0415  # optional, and there if a device is

        grid = (-(-geometry.width // TILE[0]), -(-geometry.height // TILE[1]))
        try:
            launch(stream, LaunchConfig(grid=grid, block=self.threads), self._kernels[name], *arguments)
            event = stream.record()
        except Exception as error:  # cuda.core's errors share no public base
            raise BackendError(f"the GPU refused the kernel {name}: {error}") from error
        with self._lock:
            self._pending.append((event, used))

    def _result(
        self, out: Any, stream: Any, shape: tuple[int, ...], dtype: Any
    ) -> tuple[Any, int, tuple[Any, ...]]:
        """Where a result goes: the caller's array, or a new one; its address; and what keeps its memory.

        A new array's memory is given back in the stream's order, so nobody has to keep it.
        """
        if out is None:
            array = allocate(self.device, stream, shape, dtype)
            return array, array.address, ()
        view = view_of(out, self.device, stream, "the array for the result")
        if view.shape != shape or view.dtype != np.dtype(dtype) or not _is_contiguous(view):
            raise ImageError(f"the array for the result must be {np.dtype(dtype)} {list(shape)}, in C order")
        return out, view.pointer, (view.owner,)


class Analysis(_Transform):
    """Frames to stores. Safe to share between threads.

    Args:
        device: Number of the GPU.

    Raises:
        MissingExtraError: cuda.core or NVRTC is not installed.
        BackendError: There is no driver, no GPU, or the driver is too old.
    """

    source = "analysis.cu"
    threads = _ANALYSIS_THREADS
    kernels = ("b8_analysis_grey", "b8_analysis_rgb")

    def geometry(self, image: Any) -> Geometry:
        """The geometry of a frame on the GPU.

        Raises:
            ImageError: It is none that can be transformed.
        """
        return geometry_of(view_of(image, self.device, self._begin(None), "the picture"))

    def __call__(self, image: Any, *, stream: Any = None, out: Any = None) -> Any:
        """Transform a frame.

        Args:
            image: uint8 on the GPU, [height, width] or [height, width, 3], sides of 1 to 16384; CuPy's, torch's,
                or any with `__cuda_array_interface__` or `__dlpack__`. Rows may lie apart, as in a part of a
                larger picture; those that begin at multiples of 4 bytes are read fastest.
            stream: Where to work; cuda.core's, torch's, CuPy's, or an address. None: one of our own, after what
                the image's owner has begun.
            out: int16 [units, 1536] on the GPU, for the result. None: a new array.

        Returns:
            `out`, or a `DeviceArray`, int16 [units, 1536]: as `Core.store_rows` makes it, four block columns of
            luma and two of chroma of each unit. Blocks beyond the picture's right edge are 0; of a grey
            picture, chroma is undefined. Written once the stream is done, which a `DeviceArray`
            tells those who take it. With `out`, but no stream, it is written when this returns.

        Raises:
            ImageError: The image or `out` is no such array.
            BackendError: The GPU failed, or has no room.
        """
        work = self._begin(stream)
        frame = view_of(image, self.device, work, "the picture")
        geometry = geometry_of(frame)
        store, pointer, kept = self._result(out, work, (geometry.units, UNIT_SAMPLES), np.int16)
        name = "b8_analysis_grey" if geometry.bands == 1 else "b8_analysis_rgb"
        arguments = (frame.pointer, np.int64(frame.strides[0]), *_size(geometry), pointer)
        self._launch(name, geometry, work, arguments, (frame.owner, *kept))
        if out is not None and stream is None:
            work.sync()
        return store


class Synthesis(_Transform):
    """Stores, or decoded lists, to frames. Safe to share between threads.

    Args:
        device: Number of the GPU.

    Raises:
        MissingExtraError: cuda.core or NVRTC is not installed.
        BackendError: There is no driver, no GPU, or the driver is too old.
    """

    source = "synthesis.cu"
    threads = _SYNTHESIS_THREADS
    kernels = ("b8_synthesis_grey", "b8_synthesis_rgb", "b8_lists_grey", "b8_lists_rgb")

    def __call__(self, store: Any, geometry: Geometry, *, stream: Any = None, out: Any = None) -> Any:
        """Rebuild a frame from a store.

        Args:
            store: int16 [units, 1536] on the GPU, as `Analysis` makes it.
            geometry: The picture's; depth 8.
            stream: As for `Analysis`.
            out: uint8 [height, width] or [height, width, 3] on the GPU, for the result. None: a new array.

        Returns:
            `out`, or a `DeviceArray`; see `Analysis`.

        Raises:
            ImageError: The store or `out` is no such array, or the depth is above 8.
            BackendError: The GPU failed, or has no room.
        """
        work = self._begin(stream)
        view = view_of(store, self.device, work, "the store")
        if view.shape != (geometry.units, UNIT_SAMPLES) or view.dtype != np.int16 or not _is_contiguous(view):
            raise ImageError(f"the store must be int16 [{geometry.units}, {UNIT_SAMPLES}], in C order")
        pointers, used = (view.pointer,), (view.owner,)
        return self._rebuild("b8_synthesis", geometry, work, pointers, used, out, sync=stream is None)

    def lists(self, coefficients: Coefficients, *, stream: Any = None, out: Any = None) -> Any:
        """Rebuild a frame from what the C core decoded: only coefficients that are not zero go to the GPU.

        Args:
            coefficients: On the host.
            stream: As for `Analysis`.
            out: As for `__call__`.

        Returns:
            `out`, or a `DeviceArray`; see `Analysis`.

        Raises:
            ImageError: `out` is no such array, or the depth is above 8.
            BackendError: The GPU failed, or has no room.
        """
        work = self._begin(stream)
        starts, entries = coefficients.lists()
        arrays = (coefficients.means, starts, coefficients.counts, entries)
        lists = [upload(self.device, work, array) for array in arrays]
        pointers, used = tuple(array.address for array in lists), tuple(lists)
        return self._rebuild(
            "b8_lists", coefficients.geometry, work, pointers, used, out, sync=stream is None
        )

    def _rebuild(
        self,
        kernel: str,
        geometry: Geometry,
        stream: Any,
        pointers: tuple[int, ...],
        used: tuple[Any, ...],
        out: Any,
        *,
        sync: bool,
    ) -> Any:
        """Launch a kernel on arrays, `used` being what keeps them; with `sync`, wait for it if `out` is given."""
        if geometry.depth != 8:
            raise ImageError(f"the picture has {geometry.depth} bits a sample; on the GPU 8 are supported")
        shape = (geometry.height, geometry.width, *([3] if geometry.bands == 3 else []))
        image, pointer, kept = self._result(out, stream, shape, np.uint8)
        name = f"{kernel}_{'grey' if geometry.bands == 1 else 'rgb'}"
        stride = np.int64(geometry.width * geometry.bands)
        arguments = (*pointers, *_size(geometry), pointer, stride)
        self._launch(name, geometry, stream, arguments, (*used, *kept))
        if sync and out is not None:
            stream.sync()
        return image


def geometry_of(frame: View) -> Geometry:
    """The geometry of a picture on a GPU.

    Raises:
        ImageError: It is none that these kernels take.
    """
    if frame.dtype != np.uint8:
        raise ImageError(
            f"the picture on the GPU has samples of type {frame.dtype}; only uint8 is supported there"
        )
    if len(frame.shape) not in (2, 3) or frame.shape[2:] not in ((), (3,)):
        raise ImageError(
            f"the array has shape {frame.shape}; a picture is [height, width] or [height, width, 3]"
        )
    height, width = frame.shape[:2]
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"the picture has {width}x{height} pixels; sides of 1 to {MAX_SIDE} are supported")
    bands = 3 if len(frame.shape) == 3 else 1
    apart = width > 1 and frame.strides[1] != bands
    if apart or (bands == 3 and frame.strides[2] != 1) or (height > 1 and frame.strides[0] < 0):
        raise ImageError("the picture's pixels must lie side by side in each row: make it contiguous first")
    return Geometry(width, height, bands, 8)


def _size(geometry: Geometry) -> tuple[np.int32, np.int32]:
    """A kernel's arguments."""
    return np.int32(geometry.width), np.int32(geometry.height)


def _is_contiguous(view: View) -> bool:
    expected = view.dtype.itemsize
    for side, stride in zip(reversed(view.shape), reversed(view.strides), strict=True):
        if side > 1 and stride != expected:
            return False
        expected *= side
    return True
