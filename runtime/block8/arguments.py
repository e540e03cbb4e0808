"""What block8's encoder is given, checked before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.block8 import MAX_MTU, MAX_SIDE, MIN_MTU, Geometry
from farlook.runtime.errors import ImageError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEPTHS = range(9, 17)


def check_mtu(mtu: int) -> int:
    """Refuse a packet size that is out of range.

    Raises:
        UsageError: It is.
    """
    if not isinstance(mtu, (int, np.integer)) or not MIN_MTU <= mtu <= MAX_MTU:
        raise UsageError(f"mtu must be a whole number of bytes from {MIN_MTU} to {MAX_MTU}, not {mtu}")
    return int(mtu)


def check_interleave(interleave: object) -> bool:
    """Refuse what is neither true nor false: a word such as "no" would count as true.

    Raises:
        UsageError: It is neither.
    """
    if isinstance(interleave, str) or interleave not in (False, True):
        raise UsageError(f"interleave is true or false, not {interleave!r}")
    return bool(interleave)


def check_depth(dtype: np.dtype[Any], depth: int | None) -> int:
    """The bits of a sample that are coded.

    Raises:
        UsageError: `depth` does not fit the type of the samples.
    """
    if dtype == np.uint8:
        if depth not in (None, 8):
            raise UsageError(f"depth {depth} is for uint16 samples; this picture has 8-bit ones")
        return 8
    if depth is None:
        return 16
    if depth not in _DEPTHS:
        raise UsageError(f"the depth of uint16 samples is a whole number from 9 to 16, not {depth}")
    return int(depth)


def geometry_of(image: NDArray[Any], depth: int | None) -> Geometry:
    """The geometry of a picture of which `depth` bits count.

    Raises:
        UsageError: `depth` does not fit the type of the samples.
        ImageError: Samples have more bits.
    """
    bands = 1 if image.ndim == 2 else 3
    geometry = Geometry(image.shape[1], image.shape[0], bands, check_depth(image.dtype, depth))
    if geometry.depth < 16 and image.dtype == np.uint16 and int(image.max()) >> geometry.depth:
        raise ImageError(
            f"the picture has samples up to {image.max()}, but {geometry.depth} bits end at "
            f"{(1 << geometry.depth) - 1}: give a higher depth"
        )
    return geometry


def geometry_of_sides(width: int, height: int, bands: int, depth: int) -> Geometry:
    """The geometry of a picture that is not there yet.

    Raises:
        UsageError: A number lies outside its range.
    """
    sides_fit = all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in (width, height))
    if not sides_fit or bands not in (1, 3) or depth not in range(8, 17):
        raise UsageError(
            f"a picture has sides of 1 to {MAX_SIDE}, 1 or 3 bands and 8 to 16 bits, "
            f"not {width}x{height}, {bands} and {depth}"
        )
    return Geometry(width, height, bands, depth)


def writable(buffer: Any) -> memoryview:
    """The bytes of a buffer that may be written.

    Raises:
        UsageError: There are none.
    """
    try:
        view = memoryview(buffer).cast("B")
    except TypeError as error:
        raise UsageError(f"cannot write a stream into {type(buffer).__name__}: {error}") from error
    if view.readonly:
        raise UsageError(f"the {type(buffer).__name__} is read-only: give a bytearray or a writable array")
    return view
