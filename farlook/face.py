"""`farlook.encode` and `farlook.decode`: one call each, the codec kept open between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.codec import DEFAULT_CODEC, shared_codec
from farlook.runtime.stream import read_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def encode(
    image: NDArray[np.uint8],
    codec: str = DEFAULT_CODEC,
    *,
    quality: int | None = None,
    bpp: float | None = None,
    budget: int | None = None,
) -> bytes:
    """Compress a picture; see `farlook.Codec.encode`.

    Args:
        image: Grey, uint8 [height, width], or RGB, uint8 [height, width, 3]; sides of 1 to 16384.
        codec: A codec's name or the path of a bundle.
        quality: 1 (smallest) to 100 (best); 50 if nothing is given.
        bpp: Target in bits a pixel, never exceeded.
        budget: Target in bytes, never exceeded.

    Raises:
        FarlookError: See `farlook.Codec.load` and `farlook.Codec.encode`.
    """
    return shared_codec(str(codec)).encode(image, quality=quality, bpp=bpp, budget=budget)


def decode(data: bytes) -> NDArray[np.uint8]:
    """Rebuild a picture from its stream, with the codec that ships with farlook.

    A stream made with a bundle of your own takes `farlook.Codec.load(path).decode(data)`.

    Returns:
        uint8 [height, width], or [height, width, 3] for RGB.

    Raises:
        FarlookError: See `farlook.Codec.decode`.
    """
    return shared_codec(read_header(data).codec).decode(data)
