"""Codecs of two networks: a bundle's graphs on a backend, and the entropy coder, as `encode` and `decode`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends import open_graphs
from farlook.runtime.backends.base import FP32, GraphSource
from farlook.runtime.codec import DEFAULT_QUALITY, Codec
from farlook.runtime.colour import from_planes, to_planes
from farlook.runtime.errors import BundleError, CorruptStreamError, UnknownCodecError
from farlook.runtime.images import check_image
from farlook.runtime.layouts import open_layout
from farlook.runtime.profile.stages import stage
from farlook.runtime.rate import finest_within, target_bytes
from farlook.runtime.stream import CODECS, DIGEST_BYTES, Header, read_stream, stream_size, write_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.runtime.bundle import Bundle


class NetworkCodec(Codec):
    """A codec whose analysis and synthesis are networks.

    Args:
        bundle: What was trained.
        backend: One of `farlook.runtime.backends.ORDER`, or "auto" for the best that works here.
        threads: Threads of one network run; 0 takes all cores.
        precision: Which of the bundle's networks to run: "fp32", "fp16" or "int8".
    """

    def __init__(
        self, bundle: Bundle, backend: str = "auto", threads: int = 0, precision: str = FP32
    ) -> None:
        if bundle.codec not in CODECS.values():
            raise UnknownCodecError(
                f"{bundle.path} is of the codec {bundle.codec!r}, unknown to this farlook"
            )
        self.bundle = bundle
        self._layout = open_layout(bundle)
        sources = [GraphSource.of(bundle, name, precision) for name in ("analysis", "synthesis")]
        opened = open_graphs(backend, sources, threads)
        self.backend, self.choice = opened.name, opened.reason
        self._analysis, self._synthesis = opened.sessions

    def encode(
        self,
        image: NDArray[Any],
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
    ) -> bytes:
        """Compress a picture of 8-bit samples; see `Codec.encode`. `quality` is a whole number."""
        image = check_image(image)
        pixels = image.shape[0] * image.shape[1]
        limit = target_bytes(pixels, quality, bpp, budget, whole=True)
        with stage("colour"):
            planes = to_planes(image)
        with stage("windows"):
            latents = self._layout.analyse(self._analysis, planes)

        def size_at(candidate: int) -> int:
            header = self._header(image, candidate)
            with stage("quantisation"):
                symbols = self._layout.quantise(latents, candidate)
            with stage("entropy"):
                return stream_size(header, self._layout.sizes(symbols, header.tiles))

        if limit is not None:
            quality = finest_within(limit, size_at)
        chosen = DEFAULT_QUALITY if quality is None else int(quality)
        header = self._header(image, chosen)
        with stage("quantisation"):
            symbols = self._layout.quantise(latents, chosen)
        with stage("entropy"):
            payloads = self._layout.pack(symbols, header.tiles)
        with stage("stream"):
            return write_stream(header, payloads)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Rebuild a picture from its stream; see `Codec.decode`."""
        header, symbols = self._unpacked(data)
        with stage("windows"):
            planes = self._layout.synthesise(self._synthesis, symbols, header.quality, header.tiles)
        with stage("colour"):
            return np.ascontiguousarray(from_planes(planes))

    def symbol_arrays(self, data: bytes) -> dict[str, NDArray[np.integer[Any]]]:
        """Each plane's arrays, named as in "0.latents"; see `Codec.symbol_arrays`."""
        _, symbols = self._unpacked(data)
        return {
            f"{plane}.{name}": np.asarray(array).astype(np.int32)
            for plane, each in enumerate(symbols)
            for name, array in vars(each).items()
        }

    def _unpacked(self, data: bytes) -> tuple[Header, list[Any]]:
        """A stream's header, and the layout's symbols of each plane."""
        self.check_codec(data)
        with stage("stream"):
            header, payloads = read_stream(data)
        if header.digest != self.bundle.digest[:DIGEST_BYTES]:
            raise BundleError(
                f"the stream was made with a {header.codec} bundle of digest {header.digest.hex()}, but "
                f"{self.bundle.path} is {self.bundle.codec} {self.bundle.digest[:DIGEST_BYTES].hex()}: "
                "decode it with the bundle it was made with"
            )
        # Larger tiles than the bundle's would make a small stream take gigabytes.
        if header.bit_depth != 8 or header.tile_log2 != int(self.bundle.coding["tile_log2"]):
            raise CorruptStreamError("the stream's header contradicts the bundle that it names")
        with stage("entropy"):
            return header, self._layout.unpack(payloads, header.tiles, header.bands)

    def _header(self, image: NDArray[np.uint8], quality: int) -> Header:
        return Header(
            codec=self.bundle.codec,
            digest=self.bundle.digest[:DIGEST_BYTES],
            width=image.shape[1],
            height=image.shape[0],
            bands=1 if image.ndim == 2 else 3,
            bit_depth=8,
            quality=quality,
            tile_log2=int(self.bundle.coding["tile_log2"]),
        )
