"""block8 as the benchmarks that need more of it than `encode` and `decode` see it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from farlook.runtime.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class LossyPicture(Protocol):
    """What packets that arrived decode to."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """The picture, lost blocks concealed."""

    @property
    def concealed(self) -> NDArray[np.bool_]:
        """Which blocks those are."""


class Block8(Protocol):
    """The flagship, with its rate control, threads and packets."""

    def encode(
        self,
        image: NDArray[np.uint8],
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
        mtu: int = 1024,
        threads: int = 1,
    ) -> bytes:
        """A stream of packets of at most `mtu` bytes."""

    def decode(self, data: bytes, threads: int = 1) -> NDArray[np.uint8]:
        """The picture of a stream."""

    def decode_lossy(self, packets: Sequence[bytes]) -> LossyPicture:
        """The picture of those packets that arrived."""


def load_block8() -> Block8:
    """Open block8.

    Raises:
        UnknownCodecError: This farlook has none.
    """
    return cast("Block8", Codec.load("block8"))


def split_packets(stream: bytes) -> list[bytes]:
    """A block8 stream's packets; joined they are the stream."""
    # Bound late, so that the other codecs can be measured where block8 is not installed.
    return list(import_module("farlook.runtime.block8.stream").split_packets(stream))
