"""Which of block8's decoders makes a picture, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BackendError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Packet
    from farlook.runtime.block8.neural import NeuralDecoder
    from farlook.runtime.block8.stream import Header

BYTE = 8


@dataclass
class DecoderChoice:
    """A decoder, chosen once for many streams, one after the other (not by several threads at once).

    See `farlook.runtime.block8.codec.Block8Codec.pick_decoder`.

    Attributes:
        network: None for the linear decoder.
        reason: Why this and no other.
        falls_back: Whether the linear decoder takes over where the network must not or cannot; otherwise pictures
            of more than 8 bits are refused, and a network that fails is an error.
        asked_for: Whether the network was asked for, by its backend, say: it is an error in any case if it fails.
        taken: What decoded the last picture, and why, as in "linear (asked for)".
        failure: How the network failed at the last picture, if the linear decoder took over; or empty.
    """

    network: NeuralDecoder | None
    reason: str
    falls_back: bool = False
    asked_for: bool = False
    taken: str = ""
    failure: str = ""

    def check(self, header: Header) -> None:
        """Refuse a stream that was to be decoded by the network alone, and cannot be.

        Raises:
            UsageError: The picture has more than 8 bits a sample.
        """
        if self.network is not None and not self.falls_back and header.geometry.depth > BYTE:
            raise UsageError(f"{self.network.unsuited(header)}: take the decoder linear, or auto")

    def improve(
        self, image: NDArray[Any], header: Header, packets: Sequence[Packet], coefficients: Coefficients
    ) -> NDArray[Any]:
        """The network's picture, or the linear decoder's as it is; sets `taken` and `failure`.

        Args:
            image: What the linear decoder made.
            header: The stream's.
            packets: Its packets, those that are there.
            coefficients: Decoded; what is lost is concealed.

        Raises:
            BackendError: The network failed, and nothing takes over.
            BundleError: The network does not give what it should.
        """
        self.failure = ""
        if self.network is None:
            self.taken = f"linear ({self.reason})"
            return image
        if unsuited := self.network.unsuited(header):
            self.taken = f"linear ({unsuited})"
            return image
        try:
            better = self.network.improve(image, header, packets, coefficients)
        except BackendError as error:
            if self.asked_for or not self.falls_back:
                raise
            self.failure = f"the neural one failed: {error}"
            self.taken = f"linear ({self.failure})"
            return image
        self.taken = f"neural ({self.reason})"
        return better
