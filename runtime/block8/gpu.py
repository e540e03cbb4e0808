"""Frames that lie on an NVIDIA GPU: transformed there, and coded by the C core, to the same bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from farlook.kernels.cuda.arrays import is_device_array, to_host
from farlook.kernels.cuda.block8 import Analysis, Synthesis

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Geometry
    from farlook.runtime.backends.device import DeviceArray

__all__ = ["is_device_array", "picture_of", "store_of"]


def store_of(image: Any) -> tuple[Geometry, NDArray[np.int16]]:
    """Transform a frame on the GPU where it lies.

    Args:
        image: uint8 on the GPU, [height, width] or [height, width, 3].

    Returns:
        Its geometry, and its coefficients on the host, int16 [units, 1536].

    Raises:
        ImageError: It is no such array.
        BackendError: The GPU cannot be used, or failed.
    """
    analysis = _analysis(_device_of(image))
    return analysis.geometry(image), to_host(analysis(image))


def picture_of(coefficients: Coefficients, device: int) -> DeviceArray:
    """Rebuild a frame on a GPU.

    Args:
        coefficients: Decoded, on the host.
        device: Number of the GPU.

    Returns:
        uint8 [height, width] or [height, width, 3].

    Raises:
        ImageError: The picture has more than 8 bits a sample.
        BackendError: The GPU cannot be used, or failed.
    """
    image: DeviceArray = _synthesis(device).lists(coefficients)
    return image


def _device_of(image: Any) -> int:
    """The number of the GPU where an array lies; 0 where it does not say."""
    ask = getattr(image, "__dlpack_device__", None)
    return int(ask()[1]) if callable(ask) else 0


@lru_cache
def _analysis(device: int) -> Analysis:
    return Analysis(device)


@lru_cache
def _synthesis(device: int) -> Synthesis:
    return Synthesis(device)
