"""block8 with a decoder for the ground of its own: what a bundle of the layout "block8-ground" opens as.

So a network for the ground is measured, profiled and quantised as every other codec is. Its streams are block8's; what
a network has no part in (samples of more than 8 bits, rows that come one by one, memory of the caller's) block8 has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends.base import FP32
from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.block8.neural import NeuralDecoder
from farlook.runtime.bundle import BLOCK8_LAYOUT, find_bundle
from farlook.runtime.codec import Codec
from farlook.runtime.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.block8.conceal import LossyPicture
    from farlook.runtime.bundle import Bundle


class GroundCodec(Codec):
    """block8 as it ships, decoded by a network.

    Args:
        bundle: Of the layout "block8-ground".
        backend: Of the network: one of `farlook.runtime.backends.ORDER`, or "auto".
        threads: To work with; 0 takes all cores.
        precision: Of the network.

    Raises:
        BundleError: The network was trained with another block8 than the one that ships, or is damaged.
        BackendError: No backend can run it.
    """

    options = tuple(name for name in Block8Codec.options if name != "depth")

    def __init__(
        self, bundle: Bundle, backend: str = "auto", threads: int = 0, precision: str = FP32
    ) -> None:
        self.bundle = bundle
        self._block8 = Block8Codec(find_bundle(BLOCK8_LAYOUT), threads=threads)
        self._decoder = NeuralDecoder(bundle, backend, threads, precision)
        self._decoder.check(self._block8.bundle)
        self.backend, self.choice = self._decoder.backend, self._decoder.choice

    def encode(
        self,
        image: NDArray[Any],
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
        **options: Any,
    ) -> bytes:
        """Compress a picture of 8 bits a sample; see `Block8Codec.encode`.

        Raises:
            ImageError: It has more, which the network could not decode; or see there.
        """
        self.check_options(options)
        if getattr(image, "dtype", None) == np.uint16:
            raise ImageError(
                f"{self.bundle.codec} is for pictures of 8 bits a sample: code this one with {BLOCK8_LAYOUT}"
            )
        return self._block8.encode(image, quality=quality, bpp=bpp, budget=budget, **options)

    def decode(self, data: bytes, *, threads: int = 0) -> NDArray[Any]:
        """Rebuild a picture by the network; see `Block8Codec.decode`.

        Raises:
            UsageError: The picture has more than 8 bits a sample: block8's linear decoder has to do it.
        """
        return self._block8.decode(data, threads=threads, decoder=self._decoder)

    def decode_lossy(self, pieces: bytes | Sequence[bytes], *, threads: int = 0) -> LossyPicture:
        """Rebuild a picture from what is left of its stream; see `Block8Codec.decode_lossy`."""
        return self._block8.decode_lossy(pieces, threads=threads, decoder=self._decoder)

    def check_codec(self, data: bytes) -> None:
        """Refuse a stream that is not block8's; see `Codec.check_codec`."""
        self._block8.check_codec(data)

    def swap_sessions(self, change: Callable[[str, Session], Session]) -> None:
        """See `Codec.swap_sessions`."""
        self._decoder.swap_sessions(change)
