"""Other people's codecs, with the options that make the most of them: see `farlook.benchmarks.codecs.ImageCodec`."""

from __future__ import annotations

import shutil
import subprocess
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, features

from farlook.runtime.errors import FarlookError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def library(name: str) -> Any:
    """A module of the [bench] extra.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "bench", "to compare with other codecs") from error


class Jpeg:
    """Baseline JPEG with optimised Huffman tables."""

    name = "jpeg"
    settings = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 19, 24, 30, 38, 48, 58, 68, 76, 84, 90, 94)

    def __init__(self) -> None:
        self._library = library("imagecodecs")
        version = _version(self._library.jpeg8_version())
        self.description = f"{version}, baseline, 4:2:0, optimised Huffman tables"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is libjpeg's quality."""
        return bytes(self._library.jpeg8_encode(image, int(setting), subsampling="420", optimize=True))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return np.asarray(self._library.jpeg8_decode(data))


class Mozjpeg:
    """mozjpeg's own program, if it is installed: progressive, trellis quantisation, tuned for PSNR."""

    name = "mozjpeg"
    settings = (1, 3, 5, 8, 11, 15, 20, 26, 34, 43, 53, 63, 72, 80, 88)

    def __init__(self) -> None:
        self._program = shutil.which("mozjpeg") or shutil.which("cjpeg") or ""
        version = _printed([self._program, "-version"]) if self._program else ""
        if "mozjpeg" not in version:
            raise FarlookError("mozjpeg's cjpeg is not on the PATH: build mozjpeg, or leave it out")
        self.description = f"{version.splitlines()[0].split(' (')[0]}, progressive, 4:2:0, -tune-psnr"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is libjpeg's quality."""
        raw = _saved(image, "PPM")
        options = ["-quality", f"{setting:g}", "-tune-psnr", "-sample", "1x1" if image.ndim == 2 else "2x2"]
        return subprocess.run([self._program, *options], input=raw, capture_output=True, check=True).stdout  # noqa: S603

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return opened(data)


class Jpeg2000:
    """JPEG 2000 by its rate control: a raw codestream with one layer, without OpenJPEG's comment."""

    name = "j2k"
    settings = (0.035, 0.05, 0.07, 0.1, 0.14, 0.19, 0.26, 0.36, 0.5, 0.7, 1.0)

    def __init__(self) -> None:
        self.description = (
            f"OpenJPEG {_feature('jpg_2000')}, 9/7, 5 levels, ICT, raw codestream without comment, by rate"
        )

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is the rate in bits a pixel."""
        ratio = 8 * (1 if image.ndim == 2 else 3) / setting
        codestream = _saved(
            image,
            "JPEG2000",
            no_jp2=True,
            irreversible=True,
            num_resolutions=6,
            mct=int(image.ndim == 3),
            quality_mode="rates",
            quality_layers=[ratio],
        )
        return _without_comments(codestream)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return opened(data)


class Htj2k:
    """High-throughput JPEG 2000 by its step, without OpenJPH's comment; decoded by OpenJPEG, which clamps."""

    name = "htj2k"
    settings = (
        1.6,
        1.2,
        0.9,
        0.68,
        0.5,
        0.38,
        0.29,
        0.22,
        0.165,
        0.125,
        0.092,
        0.068,
        0.05,
        0.035,
        0.025,
        0.018,
        0.013,
    )

    def __init__(self) -> None:
        self._library = library("imagecodecs")
        version = self._library.htj2k_version().split()[-1]
        self.description = (
            f"OpenJPH {version}, HTJ2K, 9/7, 5 levels, without comment, by step; decoded by OpenJPEG"
        )

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is the quantisation step; the full scale is 1."""
        codestream = self._library.htj2k_encode(image, setting, reversible=False, resolutions=5)
        return _without_comments(bytes(codestream))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return opened(data)


class Webp:
    """WebP, lossy, by default at its slowest; `method` is 0 to 6."""

    name = "webp"
    settings = (0, 1, 2, 4, 7, 11, 16, 23, 32, 43, 55, 66, 75, 83, 90, 95)

    def __init__(self, method: int = 6) -> None:
        self._method = method
        self.description = f"libwebp {_feature('webp')}, method {method}"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is libwebp's quality."""
        return _saved(image, "WEBP", quality=int(setting), method=self._method)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return opened(data)


class Avif:
    """AVIF by libaom, tuned for PSNR; `speed` is 0 to 10."""

    name = "avif"
    settings = (0, 2, 5, 8, 11, 15, 20, 26, 33, 41, 50, 60, 70, 80, 88)

    def __init__(self, speed: int = 6) -> None:
        self._speed = speed
        self.description = f"libavif {_feature('avif')} with libaom, speed {speed}, 4:2:0, tune=psnr"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is libavif's quality."""
        return _saved(
            image,
            "AVIF",
            quality=int(setting),
            speed=self._speed,
            subsampling="4:0:0" if image.ndim == 2 else "4:2:0",
            codec="aom",
            max_threads=1,
            advanced={"tune": "psnr"},
        )

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return opened(data)


class JpegXl:
    """JPEG XL, by its distance; `effort` is 1 to 9."""

    name = "jxl"
    settings = (25, 18, 16, 13, 10, 8, 6.2, 4.8, 3.7, 2.8, 2.1, 1.5, 1)

    def __init__(self, effort: int = 7) -> None:
        self._library = library("imagecodecs")
        if not self._library.JPEGXL.available:
            raise MissingExtraError("imagecodecs with JPEG XL", "bench", "to run jxl")
        self._effort = effort
        self.description = f"{_version(self._library.jpegxl_version())}, effort {effort}, bare codestream"

    def encode(self, image: NDArray[np.uint8], setting: float) -> bytes:
        """`setting` is libjxl's distance."""
        encode = self._library.jpegxl_encode
        return bytes(encode(image, distance=setting, effort=self._effort, usecontainer=False, numthreads=1))

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """See `farlook.benchmarks.codecs.ImageCodec`."""
        return np.asarray(self._library.jpegxl_decode(data, numthreads=1))


def opened(data: bytes) -> NDArray[np.uint8]:
    """The picture of a file that pillow reads."""
    return np.asarray(Image.open(BytesIO(data)))


def _saved(image: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    out = BytesIO()
    Image.fromarray(image).save(out, kind, **options)
    return out.getvalue()


def _without_comments(codestream: bytes) -> bytes:
    """A JPEG 2000 codestream without the COM segments of its main header: 25 to 39 bytes that say who made it."""
    kept, at = [codestream[:2]], 2
    while codestream[at : at + 2] != b"\xff\x90":
        end = at + 2 + int.from_bytes(codestream[at + 2 : at + 4], "big")
        if codestream[at : at + 2] != b"\xff\x64":
            kept.append(codestream[at:end])
        at = end
    return b"".join(kept) + codestream[at:]


def _feature(name: str) -> str:
    """The version of a library in pillow."""
    if not features.check(name):
        raise MissingExtraError(f"pillow with {name}", "bench", f"to run {name}")
    return str(features.version(name))


def _version(text: str) -> str:
    """A library's name and version as imagecodecs reports them, without its interface's version."""
    return text.split("/", maxsplit=1)[0].replace("_", "-")


def _printed(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout + done.stderr
