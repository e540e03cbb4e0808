"""Codecs as `farlook bench` takes them: `name:parameter` strings, and what each makes of a number of bytes.

    farlook:block8   farlook:block8:neural   farlook:block8:neural:best   farlook:mine.bundle
    farlook:block8:mtu=400   farlook:block8:tune=ms-ssim:neural:ms-ssim
    jpeg   mozjpeg   jpeg2000   htj2k   webp:m6   webp:m6:half   avif:s6   jxl:e7

What contains "=" is an option of farlook's `encode`; options stand before the decoder. A `?` after it (`mozjpeg?`)
leaves a codec out where it is not installed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image

from farlook.benchmarks.codecs import Farlook
from farlook.benchmarks.containers import container_bytes
from farlook.benchmarks.other_codecs import Avif, Htj2k, Jpeg, Jpeg2000, JpegXl, Mozjpeg, Webp
from farlook.benchmarks.pictures import luma
from farlook.benchmarks.search import largest_within
from farlook.benchmarks.specs import OURS, our_spec, read_options
from farlook.runtime.errors import FarlookError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from farlook.benchmarks.codecs import ImageCodec

_HALF = "half"


class Coder(Protocol):
    """What codes and decodes."""

    @property
    def description(self) -> str:
        """The library with its version, and the options that it is run with."""

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """A whole file of a picture, uint8 [height, width] or [height, width, 3]."""

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Its picture; codecs without grey pictures give three equal bands."""


class Half:
    """A codec at half the resolution: both sides are halved before (Lanczos), and doubled after (Lanczos).

    A byte more in every file says whether the sides were odd.
    """

    def __init__(self, codec: Coder) -> None:
        self._codec = codec
        self.description = f"{codec.description}; encoded at half resolution, enlarged again (Lanczos)"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """See `Coder`."""
        height, width = image.shape[:2]
        small = _resized(image, (width + 1) // 2, (height + 1) // 2)
        return bytes([2 * (height % 2) + width % 2]) + self._codec.encode(small, setting)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `Coder`."""
        small = self._codec.decode(data[1:])
        height, width = 2 * small.shape[0] - data[0] // 2, 2 * small.shape[1] - data[0] % 2
        return _resized(small, width, height)


@dataclass(frozen=True)
class Kind:
    """A codec and its settings.

    Attributes:
        make: Opens it, with its parameter if it has one.
        settings: Every setting that is tried, from the smallest files to the largest.
        letter: What its parameter begins with, as in m6; "" if it has none.
        values: What its parameter may be.
    """

    make: Callable[..., ImageCodec]
    settings: Sequence[float]
    letter: str = ""
    values: range = field(default=range(0))


def _geometric(first: float, last: float, steps: int) -> list[float]:
    """From `first` to `last`, each a fixed part more or less than the one before, to six digits."""
    return [float(f"{first * (last / first) ** (step / (steps - 1)):.6g}") for step in range(steps)]


KINDS = {
    "jpeg": Kind(Jpeg, range(1, 101)),
    "mozjpeg": Kind(Mozjpeg, range(1, 101)),
    "jpeg2000": Kind(Jpeg2000, _geometric(0.01, 24, 600)),
    "htj2k": Kind(Htj2k, _geometric(4, 0.0005, 600)),
    "webp": Kind(Webp, range(101), "m", range(7)),
    "avif": Kind(Avif, range(101), "s", range(11)),
    "jxl": Kind(JpegXl, _geometric(25, 0.05, 400), "e", range(1, 10)),
}
"""Other people's codecs by name."""


class BenchCodec:
    """A codec, and its setting for a number of bytes.

    Args:
        spec: What it is called.
        coder: What codes.
        settings: Every setting to try; empty for those that find their own.
        digest: What a codec of farlook's was trained to, in hex; "" for others.
    """

    def __init__(self, spec: str, coder: Coder, settings: Sequence[float] = (), digest: str = "") -> None:
        self.spec, self.digest, self._coder, self._settings = spec, digest, coder, settings
        self.description = coder.description

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """A whole file."""
        return self._coder.encode(image, setting)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Its picture, as the codec gives it."""
        return self._coder.decode(data)

    def payload_bytes(self, data: bytes) -> int:
        """Bytes of a file without its container; see `container_bytes`."""
        return len(data) - container_bytes(data[1:] if isinstance(self._coder, Half) else data)

    def reconstruct(self, data: bytes, original: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What a file decodes to, grey if the original is."""
        image = self.decode(data)
        return luma(image) if original.ndim == 2 else image

    def within(self, image: NDArray[np.uint8], budgets: Sequence[int]) -> list[tuple[float, bytes] | None]:
        """For each number of bytes, the finest setting that keeps it, and the file; None if there is none."""
        if isinstance(self._coder, Farlook):
            return [self._coder.within(image, budget) for budget in budgets]
        encode = cache(partial(self._coder.encode, image))
        found = [largest_within(self._settings, encode, budget) for budget in budgets]
        return [
            None if index is None else (self._settings[index], encode(self._settings[index]))
            for index in found
        ]

    def again(
        self, image: NDArray[np.uint8], setting: float, budget: int, before: str
    ) -> tuple[Callable[[], bytes], bytes] | None:
        """How a file that `within` found is made once more, and the file; None if it cannot be.

        By its setting. Not every file of farlook's has one: its rate control may use steps coarser than quality 1, or
        one step for a part of the picture and the next for the rest. Such a file is made by rate control again.

        Args:
            image: The picture.
            setting: What `within` gave.
            budget: What it was given.
            before: The file's `digest`.
        """
        ways: list[Callable[[], bytes]] = [partial(self._coder.encode, image, setting)]
        if isinstance(self._coder, Farlook):
            ways.append(partial(self._coder.encode_within, image, budget))
        for encode in ways:
            data = encode()
            if digest(data) == before:
                return encode, data
        return None

    def smallest(self, image: NDArray[np.uint8]) -> tuple[float, bytes]:
        """Its smallest file."""
        setting = 1 if isinstance(self._coder, Farlook) else self._settings[0]
        return setting, self.encode(image, setting)


def digest(data: bytes) -> str:
    """What tells a file from others, in hex."""
    return hashlib.sha256(data).hexdigest()[:16]


@cache
def open_spec(spec: str) -> BenchCodec:
    """The codec of a string, kept once it is open.

    Raises:
        UsageError: There is none of that name, or it has no such parameter.
        FarlookError: Its library is not installed.
    """
    name, *parameters = spec.split(":")
    half = parameters[-1:] == [_HALF]
    if half:
        parameters.pop()
    if name == OURS:
        if half:
            raise UsageError(f"{spec}: {_HALF} is for other people's codecs")
        coder: Any = _ours(spec)
        return BenchCodec(spec, coder, digest=coder.digest)
    if name not in KINDS:
        raise UsageError(
            f"no codec is called {name!r}: choose from {OURS}:CODEC[:DECODER], {', '.join(KINDS)}"
        )
    coder = _other(spec, KINDS[name], parameters)
    return BenchCodec(spec, Half(coder) if half else coder, KINDS[name].settings)


def choose_specs(specs: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """The codecs to run, and those left out with the reason: those with a `?` that do not open.

    Raises:
        UsageError: A codec is named twice, or none is.
        FarlookError: A codec without a `?` does not open; the text names it.
    """
    chosen: list[str] = []
    left_out: dict[str, str] = {}
    for text in specs:
        spec = text.removesuffix("?")
        if spec in chosen or spec in left_out:
            raise UsageError(f"the codec {spec} is named twice")
        try:
            open_spec(spec)
        except UsageError:  # mistyped, not missing
            raise
        except FarlookError as error:
            if spec == text:
                named = FarlookError(f"{spec}: {error}; or write {spec}? to leave it out where it is missing")
                named.exit_code = error.exit_code
                raise named from error
            left_out[spec] = str(error)
        else:
            chosen.append(spec)
    if not chosen:
        raise UsageError("no codec is left to run: name some with --codec")
    return chosen, left_out


def _ours(spec: str) -> Farlook:
    parts = our_spec(spec)
    if parts is None or not all(spec.split(":")) or not parts.codec:
        raise UsageError(
            f"{spec!r} names no codec: write {OURS}:CODEC, {OURS}:CODEC:DECODER or {OURS}:CODEC:OPTION=VALUE:DECODER"
        )
    late = [
        text for text in parts.decoder.split(":") if text.partition("=")[0].isidentifier() and "=" in text
    ]
    if late and not late[0].endswith(".bundle"):
        raise UsageError(f"{spec}: options come before the decoder, {late[0]} does not")
    options = read_options(spec, parts.options)
    if "threads" in options:
        raise UsageError(f"{spec}: all codecs are measured with one thread, so threads is no option here")
    coder = Farlook(parts.codec, spec, parts.decoder, **options)
    if options:
        _try(spec, coder)
    return coder


def _try(spec: str, coder: Farlook) -> None:
    """Encode a small picture: a value that cannot be is found before anything is measured."""
    try:
        coder.encode(np.zeros((64, 64), np.uint8), 50)
    except (UsageError, TypeError, ValueError) as error:
        raise UsageError(f"{spec}: {error}") from error


def _other(spec: str, kind: Kind, parameters: Sequence[str]) -> ImageCodec:
    if not parameters:
        return kind.make()
    text = parameters[0]
    values = {f"{kind.letter}{value}": value for value in kind.values}
    if len(parameters) > 1 or text not in values:
        takes = f"{min(values)} to {max(values, key=lambda t: values[t])}, and {_HALF}" if values else _HALF
        raise UsageError(f"{spec}: {':'.join(parameters)} is not one of its parameters, which are {takes}")
    return kind.make(values[text])


def _resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
