"""Codecs behind one small protocol, so that a benchmark treats farlook and all others alike."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from farlook.benchmarks.other_codecs import Avif, Htj2k, Jpeg, Jpeg2000, JpegXl, Mozjpeg, Webp
from farlook.benchmarks.pictures import luma
from farlook.runtime.codec import Codec
from farlook.runtime.errors import FarlookError, TargetError, UsageError
from farlook.runtime.info import info

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray


class ImageCodec(Protocol):
    """A codec as the benchmarks see it; opening one raises `FarlookError` where it is not installed."""

    @property
    def name(self) -> str:
        """What tables and `--codecs` call it."""

    @property
    def description(self) -> str:
        """The library with its version, and the options that it is run with."""

    @property
    def settings(self) -> Sequence[float]:
        """Settings from the smallest files to large ones, close enough together to draw a curve through."""

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """A whole file of a picture, uint8 [height, width] or [height, width, 3]."""

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture of a file. Codecs without grey pictures give three equal bands: see `reconstruct`."""


class Farlook:
    """A codec of farlook's, by quality, with options besides.

    Args:
        name: The codec, or a bundle's path.
        label: What it is called, if not by its name.
        decoder: Which of the codec's decoders to use, if it has several, as in "neural" or "neural:best".
        options: What else `encode` takes.

    Attributes:
        digest: What was trained, in hex.

    Raises:
        UsageError: The codec has no such decoder, or no such option.
        FarlookError: See `Codec.load`.
    """

    settings = (1, *range(4, 101, 4))

    def __init__(self, name: str, label: str = "", decoder: str = "", **options: Any) -> None:
        self.name = label or name
        self._codec = Codec.load(name, threads=1)
        self._codec.check_options(options)
        self._encode: Callable[..., bytes] = partial(self._codec.encode, **options)
        self._decode: Callable[[bytes], NDArray[np.uint8]] = self._codec.decode
        text = ", ".join(f"{option}={value}" for option, value in options.items()) or "defaults"
        self.description = f"farlook's {name}, {text}, by quality"
        self.digest = self._codec.bundle.digest.hex()
        if decoder:
            self._take(decoder)

    def _take(self, decoder: str) -> None:
        """Decode with another decoder than the codec's first; what it is now counts to what was trained."""
        choose = getattr(self._codec, "choose_decoder", None)
        if choose is None:
            raise UsageError(
                f"{self._codec.bundle.codec} has one decoder only, so none called {decoder!r}: leave it out"
            )
        network, reason = choose(decoder)
        decode: Callable[..., NDArray[np.uint8]] = self._codec.decode
        self._decode = partial(decode, decoder=network or "linear")
        self.description += f", decoder {decoder} ({reason})"
        if network is not None:
            self.digest += f" and {network.bundle.digest.hex()}"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is farlook's quality."""
        return self._encode(image, quality=setting)

    def within(self, image: NDArray[np.uint8], budget: int) -> tuple[float, bytes] | None:
        """The stream that farlook's own rate control makes of at most `budget` bytes, and the quality it names.

        That quality alone need not give the stream again.
        """
        try:
            data = self.encode_within(image, budget)
        except TargetError:
            return None
        return info(data).quality, data

    def encode_within(self, image: NDArray[np.uint8], budget: int) -> bytes:
        """The stream that farlook's own rate control makes of at most `budget` bytes.

        Raises:
            TargetError: There is none.
        """
        return self._encode(image, budget=budget)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `ImageCodec`."""
        return self._decode(data)


class Neural(Farlook):
    """A neural codec of farlook's, by quality.

    Attributes:
        counts: What training counted: `parameters`, `encoder_kmac`, `decoder_kmac`, `steps`, as far as it did.
    """

    settings = (1, 10, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        training = self._codec.bundle.manifest.get("training", {})
        steps = {"steps": training.get("config", {}).get("steps")}
        found = {**steps, **training.get("figures", {})}
        self.counts = {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


CODECS: dict[str, Callable[[], ImageCodec]] = {
    "block8": partial(Farlook, "block8"),
    "block8-whole": partial(Farlook, "block8", label="block8-whole", interleave=False),
    "block8-paper": partial(Farlook, "block8-paper"),
    **{name: partial(Neural, name) for name in ("fera", "aara", "mrdcae", "mfca")},
    **{kind.name: kind for kind in (Jpeg, Mozjpeg, Jpeg2000, Htj2k, Webp, Avif, JpegXl)},
}
"""Every codec by its name, as a maker: libraries are loaded only where they are used."""


@cache
def open_codec(name: str) -> ImageCodec:
    """The codec of a name, kept once it is open.

    Raises:
        UsageError: There is none of that name.
        FarlookError: Its library is not installed.
    """
    if name not in CODECS:
        raise UsageError(f"no codec is called {name!r}: choose from {', '.join(CODECS)}")
    return CODECS[name]()


def choose(names: Sequence[str] | None, default: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The codecs to run, and why others are left out.

    Args:
        names: What was asked for: all must open.
        default: Where nothing was asked for, these, as far as they open.

    Raises:
        FarlookError: See `open_codec`.
    """
    chosen, left_out = [], {}
    for name in names or default:
        try:
            open_codec(name)
        except FarlookError as error:
            if names:
                raise
            left_out[name] = str(error)
        else:
            chosen.append(name)
    return chosen, left_out


def codec_list(codecs: Sequence[ImageCodec], left_out: Mapping[str, str]) -> str:
    """What each codec is; what is missing, and why."""
    lines = [f"- `{codec.name}`: {codec.description}" for codec in codecs]
    return "\n".join(lines + [f"- `{name}` was left out: {reason}" for name, reason in left_out.items()])


def reconstruct(codec: ImageCodec, data: bytes, original: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a file decodes to, grey if the original is."""
    image = codec.decode(data)
    return luma(image) if original.ndim == 2 else image
