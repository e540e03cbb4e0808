"""The neural codecs as `encode` and `decode`: fera, aara, mrdcae, mfca, which differ in their bundles only."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.backends import open_graphs
from farlook.runtime.backends.base import FP32, GraphSource
from farlook.runtime.codec import DEFAULT_QUALITY, Codec
from farlook.runtime.errors import BundleError, CorruptStreamError, UnknownCodecError
from farlook.runtime.images import check_image
from farlook.runtime.neural.description import Coding, level_input
from farlook.runtime.neural.symbols import SymbolCoder, dequantise, quantise
from farlook.runtime.neural.windows import analyse, synthesise
from farlook.runtime.profile.stages import stage
from farlook.runtime.rate import HIGHEST, finest_within, target_bytes
from farlook.runtime.stream import CODECS, DIGEST_BYTES, Header, read_stream, write_stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.runtime.bundle import Bundle
    from farlook.runtime.neural.symbols import Symbols
    from farlook.runtime.neural.windows import Window


class NeuralCodec(Codec):
    """A codec whose latents are described by its bundle.

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
        try:
            self.coding = Coding.read(bundle.coding)
            self._symbols = SymbolCoder(self.coding, bundle.entropy())
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise BundleError(f"{bundle.path}: the coding tables are damaged: {error!r}") from error
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
        limit = target_bytes(image.shape[0] * image.shape[1], quality, bpp, budget, whole=True)
        search = _Search(self, image)
        if limit is not None:
            quality = finest_within(limit, lambda candidate: len(search.stream(candidate)))
        return search.stream(DEFAULT_QUALITY if quality is None else int(quality))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Rebuild a picture from its stream; see `Codec.decode`."""
        header, symbols = self.symbols(data)
        level = self.coding.level(header.quality)
        size = (header.height, header.width)
        with stage("windows"):
            image = synthesise(self._synthesis, self.coding, size, partial(self._inputs, symbols, level))
        if header.bands == 3:
            return image
        with stage("colour"):
            grey: NDArray[np.uint8] = np.rint(image.mean(axis=2, dtype=np.float32)).astype(np.uint8)
        return grey

    def symbols(self, data: bytes) -> tuple[Header, Symbols]:
        """What a stream holds before any network runs: the same on every machine.

        Raises:
            StreamError: The stream is damaged, cut short, or no farlook stream.
            BundleError: The stream was made with another bundle than this codec's.
        """
        self.check_codec(data)
        with stage("stream"):
            header, payloads = read_stream(data)
        if header.digest != self.bundle.digest[:DIGEST_BYTES]:
            raise BundleError(
                f"the stream was made with a {header.codec} bundle of digest {header.digest.hex()}, but "
                f"{self.bundle.path} is {self.bundle.codec} {self.bundle.digest[:DIGEST_BYTES].hex()}: "
                "decode it with the bundle it was made with"
            )
        if header.bit_depth != 8 or header.tiles.side != self.coding.tile:
            raise CorruptStreamError("the stream's header contradicts the bundle that it names")
        with stage("entropy"):
            return header, self._symbols.unpack(payloads, header.tiles, self.coding.level(header.quality))

    def symbol_arrays(self, data: bytes) -> dict[str, NDArray[np.integer[Any]]]:
        """Each latent's symbols, [channels, height, width] of its grid; see `Codec.symbol_arrays`."""
        return dict(self.symbols(data)[1])

    def map(self, data: bytes) -> NDArray[np.uint8] | None:
        """The importance or saliency map of a stream: what opens gates, from 0 to 255 for most channels.

        Returns:
            uint8 [height, width], constant over the map's positions; None if no latent gates another.

        Raises:
            StreamError, BundleError: See `symbols`.
        """
        header, symbols = self.symbols(data)
        gates = self.coding.gates()
        if not gates:
            return None
        name = next(iter(gates))
        levels = symbols[name][0].astype(np.int32) * 255 // max(min(gates[name]) - 1, 1)
        stride = self.coding.latent(name).stride
        shown = levels.astype(np.uint8).repeat(stride, axis=0).repeat(stride, axis=1)
        return np.ascontiguousarray(shown[: header.height, : header.width])

    def latents(self, image: NDArray[np.uint8], level: int) -> dict[str, NDArray[np.float32]]:
        """The analysis of a picture: float32 [channels, height, width], by name."""
        names = self.coding.analysis.inputs
        extra = {"level": level_input(level, self.coding.levels)} if "level" in names else {}
        for latent in self.coding.latents:
            gain = latent.gain(self.coding.position(level))
            if gain is not None and f"gain_{latent.name}" in names:
                extra[f"gain_{latent.name}"] = gain[None, :, None, None]
        with stage("windows"):
            return analyse(self._analysis, self.coding, image, extra)

    def stream(self, image: NDArray[np.uint8], quality: int, symbols: Symbols) -> bytes:
        """The stream of a picture's symbols."""
        header = Header(
            codec=self.bundle.codec,
            digest=self.bundle.digest[:DIGEST_BYTES],
            width=image.shape[1],
            height=image.shape[0],
            bands=1 if image.ndim == 2 else 3,
            bit_depth=8,
            quality=quality,
            tile_log2=self.coding.tile.bit_length() - 1,
        )
        with stage("entropy"):
            payloads = self._symbols.pack(symbols, header.tiles, self.coding.level(quality))
        with stage("stream"):
            return write_stream(header, payloads)

    def _inputs(
        self, symbols: Symbols, level: int, rows: Window, columns: Window
    ) -> dict[str, NDArray[np.float32]]:
        window = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        with stage("quantisation"):
            tensors = dequantise(self.coding, symbols, level, window)
        if "level" in self.coding.synthesis.inputs:
            tensors["level"] = level_input(level, self.coding.levels)
        return tensors


class _Search:
    """Streams of one picture at several qualities: nothing is done twice."""

    def __init__(self, codec: NeuralCodec, image: NDArray[np.uint8]) -> None:
        self._codec = codec
        self._image = image
        self._latents: dict[str, NDArray[np.float32]] | None = None
        self._streams: dict[int, bytes] = {}

    def stream(self, quality: int) -> bytes:
        """The stream at a quality of 1 to 100; its header has the least quality of the same level."""
        coding = self._codec.coding
        level = coding.level(quality)
        if level not in self._streams:
            if self._latents is None or not coding.shares_analysis:
                self._latents = self._codec.latents(self._image, level)
            with stage("quantisation"):
                symbols = quantise(coding, self._latents, level)
            least = next(each for each in range(1, HIGHEST + 1) if coding.level(each) == level)
            self._streams[level] = self._codec.stream(self._image, least, symbols)
        return self._streams[level]
