"""`farlook.encode` and `farlook.decode`: one call each, the codec kept open between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farlook.runtime.bundle import BLOCK8_LAYOUT
from farlook.runtime.codec import DEFAULT_CODEC, shared_codec
from farlook.runtime.errors import UsageError
from farlook.runtime.stream import stream_codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def encode(
    image: NDArray[Any],
    codec: str = DEFAULT_CODEC,
    *,
    quality: float | None = None,
    bpp: float | None = None,
    budget: int | None = None,
    **options: Any,  # each codec's own
) -> bytes:
    """Compress a picture; see `farlook.Codec.encode`.

    Args:
        image: Grey, [height, width], or RGB, [height, width, 3], sides of 1 to 16384; uint8, or for block8
            uint16 as well.
        codec: A codec's name or the path of a bundle.
        quality: 1 (smallest) to 100 (best); 50 if nothing is given.
        bpp: Target in bits a pixel, never exceeded.
        budget: Target in bytes, never exceeded.
        options: What the codec offers besides: block8 takes `mtu`, `layout`, `interleave`, `roi`,
            `depth` and `threads`.

    Raises:
        UsageError: The codec has no such option; and see below.
        FarlookError: See `farlook.Codec.load` and `farlook.Codec.encode`.
    """
    opened = shared_codec(str(codec))
    opened.check_options(options)
    work: Callable[..., bytes] = opened.encode
    return work(image, quality=quality, bpp=bpp, budget=budget, **options)


def decode(data: bytes, **options: Any) -> NDArray[Any]:  # each codec's own
    """Rebuild a picture from its stream, with the codec that ships with farlook.

    A stream made with a bundle of your own takes `farlook.Codec.load(path).decode(data)`, and what a downlink
    left of a block8 stream `farlook.Codec.load("block8").decode_lossy(packets)`.

    Args:
        data: The stream.
        options: What the codec's `decode` offers besides: block8's takes `decoder` ("linear", the default,
            "neural" or "auto") and `threads`.

    Returns:
        uint8, or uint16 for more than 8 bits: [height, width], or [height, width, 3] for RGB.

    Raises:
        FarlookError: See `farlook.Codec.decode`.
    """
    codec = shared_codec(stream_codec(data))
    if options and codec.bundle.layout != BLOCK8_LAYOUT:
        raise UsageError(f"{codec.bundle.codec} decodes without options: {', '.join(options)} is of block8")
    work: Callable[..., NDArray[Any]] = codec.decode
    return work(data, **options)
