"""Codecs: what was trained, with `encode` and `decode`. `Codec.load` opens the right kind for a bundle.

Codec
|-- NetworkCodec   two networks on a backend and an entropy coder: block8-paper
|-- NeuralCodec    two networks, latents as the bundle describes them, a context coder: fera, aara, mrdcae, mfca
|-- Block8Codec    tables and the C core: block8
`-- GroundCodec    block8, decoded by a network: block8-ground-fast, -best, -ms-ssim
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from farlook.runtime.backends.base import FP32, PRECISIONS
from farlook.runtime.bundle import BLOCK8_LAYOUT, GROUND_LAYOUT, find_bundle
from farlook.runtime.errors import BundleError, UsageError
from farlook.runtime.stream import stream_codec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.bundle import Bundle

DEFAULT_CODEC = "block8"
DEFAULT_QUALITY = 50

_NETWORKS = ("farlook.runtime.network_codec", "NetworkCodec")
_KINDS = {
    BLOCK8_LAYOUT: ("farlook.runtime.block8.codec", "Block8Codec"),
    GROUND_LAYOUT: ("farlook.runtime.block8.ground", "GroundCodec"),
    "neural": ("farlook.runtime.neural.codec", "NeuralCodec"),
}


class Codec(ABC):
    """One codec, ready to encode and decode.

    Attributes:
        bundle: What was trained.
        backend: Name of what runs it: "native" (the C core), or that of the networks' backend.
        choice: What that is and, if it was chosen among several, why it and not another; may be empty.
        options: Names of the options that `encode` takes besides the target.
        deep: Whether it codes samples of more than 8 bits.
    """

    bundle: Bundle
    backend: str
    choice: str = ""
    options: ClassVar[tuple[str, ...]] = ()
    deep: ClassVar[bool] = False

    @classmethod
    def load(
        cls, name_or_path: str | Path, backend: str = "auto", threads: int = 0, precision: str = FP32
    ) -> Codec:
        """Open a codec that ships with farlook, or a bundle.

        Args:
            name_or_path: A codec's name, as in "block8", or the path of a bundle.
            backend: "native" (the C core) for block8, one of `farlook.runtime.backends.ORDER` for networks, or
                "auto" for the best that works here.
            threads: Threads to work with; 0 takes all cores.
            precision: Which of a bundle's networks to run: "fp32", "fp16" or "int8". Streams do not depend on
                it: one of any precision decodes with any.

        Raises:
            UnknownCodecError: There is no such codec.
            UsageError: There is no such precision or backend, or the codec has no networks.
            BundleError: The bundle is damaged, or has no networks of that precision.
            BackendError: No backend can run it.
        """
        bundle = find_bundle(name_or_path)
        module, name = _KINDS.get(bundle.layout, _NETWORKS)
        if precision not in PRECISIONS:
            raise UsageError(f"there is no precision {precision!r}; choose one of: {', '.join(PRECISIONS)}")
        if precision != FP32 and (bundle.layout == BLOCK8_LAYOUT or not bundle.graphs):
            raise UsageError(f"{bundle.codec} runs no networks: there is no {precision} of it")
        chosen = {"precision": precision} if precision != FP32 else {}
        codec: Codec = getattr(import_module(module), name)(bundle, backend, threads, **chosen)
        return codec

    @abstractmethod
    def encode(
        self,
        image: NDArray[Any],
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
    ) -> bytes:
        """Compress a picture.

        Args:
            image: Grey, [height, width], or RGB, [height, width, 3], sides of 1 to 16384; uint8, or uint16
                if the codec is `deep`.
            quality: 1 (smallest) to 100 (best); 50 if nothing is given.
            bpp: Target in bits a pixel, never exceeded.
            budget: Target in bytes, never exceeded.

        Returns:
            The stream, headers and checksums included.

        Raises:
            ImageError: The array is not a picture that can be coded.
            UsageError: More than one target is given, or one lies outside its range.
            TargetError: Even the lowest quality takes more than `bpp` or `budget` allow.
        """

    @abstractmethod
    def decode(self, data: bytes) -> NDArray[Any]:
        """Rebuild a picture from its stream: [height, width] or [height, width, 3].

        Raises:
            StreamError: The stream is damaged, cut short, or no farlook stream.
            BundleError: The stream was made with another bundle than this codec's.
        """

    def symbol_arrays(self, data: bytes) -> dict[str, NDArray[np.integer[Any]]]:
        """The integers that a stream holds for the synthesis network, by name: the same on every machine.

        Empty where the encoder has no network, as block8's.

        Raises:
            StreamError, BundleError: See `decode`.
        """
        del data
        return {}

    def swap_sessions(self, change: Callable[[str, Session], Session]) -> None:
        """Put other sessions in the place of the networks', as calibration does to see what goes through them.

        Args:
            change: Gives the new session of a network, "analysis" or "synthesis", and the one that it replaces.
        """
        for name in self.bundle.graphs:
            setattr(self, f"_{name}", change(name, getattr(self, f"_{name}")))

    def check_codec(self, data: bytes) -> None:
        """Refuse a stream of another codec.

        Raises:
            StreamError: The bytes are no farlook stream.
            BundleError: Another codec made them.
        """
        name = stream_codec(data)
        if name != self.bundle.codec:
            raise BundleError(
                f"the stream was made with {name}, but {self.bundle.path} is of {self.bundle.codec}: "
                "decode it with the bundle it was made with"
            )

    def check_options(self, names: Iterable[str]) -> None:
        """Refuse options of `encode` that this codec does not have.

        Raises:
            UsageError: It has no option of one of these names.
        """
        unknown = sorted(set(names) - set(self.options))
        if unknown:
            has = f"it has {', '.join(self.options)}" if self.options else "it has none besides the target"
            raise UsageError(f"the codec {self.bundle.codec} has no option {', '.join(unknown)}: {has}")


def shared_codec(name_or_path: str, backend: str = "auto") -> Codec:
    """`Codec.load`, each codec kept once it is open, until its bundle changes on the disk."""
    bundle = find_bundle(name_or_path)
    # The manifest holds the digest of every member: it changes when any of them does.
    return _kept_codec(bundle.path.resolve(), json.dumps(bundle.manifest, sort_keys=True), backend)


@lru_cache(maxsize=8)
def _kept_codec(path: Path, _manifest: str, backend: str) -> Codec:
    return Codec.load(path, backend)
