"""Codecs: a bundle, its two networks on a backend, and the entropy coder, as `encode` and `decode`."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.backends import open_backend
from farlook.runtime.bundle import Bundle, find_bundle
from farlook.runtime.colour import from_planes, to_planes
from farlook.runtime.errors import BundleError, CorruptStreamError, UnknownCodecError, UsageError
from farlook.runtime.images import check_image
from farlook.runtime.layouts import open_layout
from farlook.runtime.rate import HIGHEST, LOWEST, finest_within
from farlook.runtime.stream import CODECS, DIGEST_BYTES, Header, read_stream, stream_size, write_stream

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DEFAULT_CODEC = "block8-paper"
DEFAULT_QUALITY = 50

_MAX_BPP = 64


class Codec:
    """One codec, ready to encode and decode.

    Attributes:
        bundle: What was trained.
        backend: Name of the backend that runs the networks.
    """

    def __init__(self, bundle: Bundle, backend: str = "auto", threads: int = 0) -> None:
        if bundle.codec not in CODECS.values():
            raise UnknownCodecError(
                f"{bundle.path} is of the codec {bundle.codec!r}, unknown to this farlook"
            )
        self.bundle = bundle
        self._layout = open_layout(bundle)
        self.backend, load = open_backend(backend)
        self._analysis = load(bundle.graph("analysis"), "analysis", threads)
        self._synthesis = load(bundle.graph("synthesis"), "synthesis", threads)

    @classmethod
    def load(cls, name_or_path: str | Path, backend: str = "auto", threads: int = 0) -> Codec:
        """Open a codec that ships with farlook, or a bundle.

        Args:
            name_or_path: A codec's name, as in "block8-paper", or the path of a bundle.
            backend: "ort" (ONNX Runtime), or "auto" for the best that works here.
            threads: Threads of one network run; 0 takes all cores.

        Raises:
            UnknownCodecError: There is no such codec.
            BundleError: The bundle is damaged.
            BackendError: No backend can run it.
        """
        return cls(find_bundle(name_or_path), backend, threads)

    def encode(
        self,
        image: NDArray[np.uint8],
        *,
        quality: int | None = None,
        bpp: float | None = None,
        budget: int | None = None,
    ) -> bytes:
        """Compress a picture.

        Args:
            image: Grey, uint8 [height, width], or RGB, uint8 [height, width, 3]; sides of 1 to 16384.
            quality: 1 (smallest) to 100 (best); 50 if nothing is given.
            bpp: Target in bits a pixel, never exceeded.
            budget: Target in bytes, never exceeded.

        Returns:
            The stream, headers and checksums included.

        Raises:
            ImageError: The array is not a picture that can be coded.
            UsageError: More than one target is given, or one lies outside its range.
            TargetError: Even quality 1 takes more than `bpp` or `budget` allow.
        """
        image = check_image(image)
        pixels = image.shape[0] * image.shape[1]
        limit = _target_bytes(pixels, quality, bpp, budget)
        latents = self._layout.analyse(self._analysis, to_planes(image))

        def size_at(candidate: int) -> int:
            header = self._header(image, candidate)
            return stream_size(
                header, self._layout.sizes(self._layout.quantise(latents, candidate), header.tiles)
            )

        if limit is not None:
            quality = finest_within(limit, size_at)
        chosen = DEFAULT_QUALITY if quality is None else int(quality)
        header = self._header(image, chosen)
        symbols = self._layout.quantise(latents, chosen)
        return write_stream(header, self._layout.pack(symbols, header.tiles))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Rebuild a picture from its stream: uint8 [height, width] or [height, width, 3].

        Raises:
            StreamError: The stream is damaged, cut short, or no farlook stream.
            BundleError: The stream was made with another bundle than this codec's.
        """
        header, payloads = read_stream(data)
        if header.codec != self.bundle.codec or header.digest != self.bundle.digest[:DIGEST_BYTES]:
            raise BundleError(
                f"the stream was made with a {header.codec} bundle of digest {header.digest.hex()}, but "
                f"{self.bundle.path} is {self.bundle.codec} {self.bundle.digest[:DIGEST_BYTES].hex()}: "
                "decode it with the bundle it was made with"
            )
        # Larger tiles than the bundle's would make a small stream take gigabytes.
        if header.bit_depth != 8 or header.tile_log2 != int(self.bundle.coding["tile_log2"]):
            raise CorruptStreamError("the stream's header contradicts the bundle that it names")
        symbols = self._layout.unpack(payloads, header.tiles, header.bands)
        planes = self._layout.synthesise(self._synthesis, symbols, header.quality, header.tiles)
        return np.ascontiguousarray(from_planes(planes))

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


def shared_codec(name_or_path: str, backend: str = "auto") -> Codec:
    """`Codec.load`, each codec kept once it is open, until its bundle changes on the disk."""
    bundle = find_bundle(name_or_path)
    # The manifest holds the digest of every member: it changes when any of them does.
    return _kept_codec(bundle.path.resolve(), json.dumps(bundle.manifest, sort_keys=True), backend)


@lru_cache(maxsize=8)
def _kept_codec(path: Path, _manifest: str, backend: str) -> Codec:
    return Codec.load(path, backend)


def _target_bytes(pixels: int, quality: int | None, bpp: float | None, budget: int | None) -> int | None:
    """Bytes that the stream may take; None if a quality, or nothing, is asked for."""
    if sum(target is not None for target in (quality, bpp, budget)) > 1:
        raise UsageError("give one of quality, bpp and budget, not several")
    if quality is not None and not (isinstance(quality, (int, np.integer)) and LOWEST <= quality <= HIGHEST):
        raise UsageError(f"quality must be a whole number from {LOWEST} to {HIGHEST}, not {quality}")
    if budget is not None and not (isinstance(budget, (int, np.integer)) and budget > 0):
        raise UsageError(f"budget must be a whole number of bytes above 0, not {budget}")
    if bpp is None:
        return budget
    if not (isinstance(bpp, (float, int, np.floating, np.integer)) and 0 < bpp <= _MAX_BPP):
        raise UsageError(f"bpp must be a number above 0 and at most {_MAX_BPP}, not {bpp}")
    return int(bpp * pixels / 8)
