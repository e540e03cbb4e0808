"""Several codecs' reconstructions of one picture at one rate: side by side, with error maps and coded maps.

original | codec | codec | ...        captions: bits a pixel, PSNR, SSIM
         | error | error | ...        absolute errors of the luma, times 4
         |  map  |       | ...        importance or saliency map, where a codec has one
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from farlook.benchmarks.jpeg import decode_jpeg, encode_jpeg, scale_within
from farlook.benchmarks.metrics import psnr, ssim
from farlook.benchmarks.pictures import luma, pixels
from farlook.benchmarks.search import largest_within
from farlook.runtime.bundle import SUFFIX
from farlook.runtime.codec import Codec
from farlook.runtime.errors import TargetError, UsageError
from farlook.runtime.info import info
from farlook.runtime.neural.codec import NeuralCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

ERROR_GAIN = 4
_CAPTION, _GAP = 56, 8


@dataclass(frozen=True)
class Exhibit:
    """One codec's result.

    Attributes:
        name: Of the codec.
        image: Its reconstruction, the shape of the original.
        size: Bytes.
        encode_ms: Milliseconds to encode at the setting that was found, without the search for it.
        decode_ms: Milliseconds to decode.
        map: What the stream's importance or saliency map looks like, uint8 [height, width]; None if it has none.
    """

    name: str
    image: Picture
    size: int
    encode_ms: float
    decode_ms: float
    map: Picture | None = None

    @property
    def bpp(self) -> float:
        """Bits a pixel."""
        return 8 * self.size / pixels(self.image)


class Exhibitor(Protocol):
    """What finds a codec's setting for a number of bytes, and codes with it."""

    def setting(self, image: Picture, budget: int) -> Any:
        """The finest setting whose file takes at most `budget` bytes; None if there is none."""

    def encode(self, image: Picture, setting: Any) -> bytes:
        """A whole file."""

    def decode(self, data: bytes) -> Picture:
        """Its picture."""

    def map(self, data: bytes) -> Picture | None:
        """Its coded map."""


class Ours:
    """A codec of farlook's, or a bundle."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def setting(self, image: Picture, budget: int) -> float | None:
        """A quality."""
        try:
            found = self._codec.encode(image, budget=budget)
        except TargetError:
            return None
        self._codec.decode(found)  # the first run of a network allocates
        return info(found).quality

    def encode(self, image: Picture, setting: float) -> bytes:
        """See `Exhibitor`."""
        return self._codec.encode(image, quality=setting)

    def decode(self, data: bytes) -> Picture:
        """See `Exhibitor`."""
        return self._codec.decode(data)

    def map(self, data: bytes) -> Picture | None:
        """See `Exhibitor`."""
        return self._codec.map(data) if isinstance(self._codec, NeuralCodec) else None


class Jpeg:
    """libjpeg-turbo's baseline with optimised Huffman tables."""

    def setting(self, image: Picture, budget: int) -> float | None:
        """A scale of the quantisation tables."""
        return scale_within(image, budget, optimise=True)

    def encode(self, image: Picture, setting: float) -> bytes:
        """See `Exhibitor`."""
        return encode_jpeg(image, setting, optimise=True)

    def decode(self, data: bytes) -> Picture:
        """See `Exhibitor`."""
        return decode_jpeg(data)

    def map(self, data: bytes) -> None:
        """JPEG has none."""


class ByPillow:
    """A codec of pillow's.

    Args:
        feature: pillow's name of the library.
        settings: From the smallest files to the largest.
        save: Writes a picture to a file at a setting.
    """

    def __init__(
        self, feature: str, settings: Sequence[float], save: Callable[[Image.Image, BytesIO, float], None]
    ) -> None:
        if not features.check(feature):
            raise UsageError(f"this pillow was built without {feature}")
        self._settings, self._save = settings, save

    def setting(self, image: Picture, budget: int) -> float | None:
        """One of its settings."""
        found = largest_within(self._settings, partial(self.encode, image), budget)
        return None if found is None else self._settings[found]

    def encode(self, image: Picture, setting: float) -> bytes:
        """See `Exhibitor`."""
        out = BytesIO()
        self._save(Image.fromarray(image), out, setting)
        return out.getvalue()

    def decode(self, data: bytes) -> Picture:
        """See `Exhibitor`."""
        return np.asarray(Image.open(BytesIO(data)))

    def map(self, data: bytes) -> None:
        """These have none."""


def _save_jpeg2000(image: Image.Image, out: BytesIO, rate: float) -> None:
    bands = len(image.getbands())
    image.save(
        out, "JPEG2000", no_jp2=True, irreversible=True, quality_mode="rates",
        quality_layers=[8 * bands / rate], mct=int(bands == 3),
    )  # fmt: skip


def _save_webp(image: Image.Image, out: BytesIO, quality: float) -> None:
    image.save(out, "WEBP", quality=int(quality), method=6)


def _save_avif(image: Image.Image, out: BytesIO, quality: float) -> None:
    image.save(out, "AVIF", quality=int(quality), speed=6)


OTHERS: dict[str, Callable[[], Exhibitor]] = {
    "jpeg": Jpeg,
    "jpeg2000": partial(ByPillow, "jpg_2000", [0.02 * 1.02**step for step in range(320)], _save_jpeg2000),
    "webp": partial(ByPillow, "webp", range(101), _save_webp),
    "avif": partial(ByPillow, "avif", range(101), _save_avif),
}
"""Codecs to compare with, as makers; all other names are farlook's own or paths of bundles."""


def exhibit(image: Picture, name: str, bpp: float, backend: str = "auto") -> Exhibit | None:
    """Code a picture at a rate; None if the codec's smallest file is larger.

    Args:
        image: uint8 [height, width] or [height, width, 3].
        name: One of `OTHERS`, a codec of farlook's, or a bundle's path.
        bpp: Bits a pixel, not exceeded.
        backend: What runs farlook's networks.

    Raises:
        FarlookError: See `Codec.load` and `Codec.encode`.
    """
    coder = OTHERS[name]() if name in OTHERS else Ours(Codec.load(name, backend))
    setting = coder.setting(image, int(bpp * pixels(image) / 8))
    if setting is None:
        return None
    start = time.perf_counter()
    data = coder.encode(image, setting)
    middle = time.perf_counter()
    decoded = coder.decode(data)
    end = time.perf_counter()
    decoded = luma(decoded) if image.ndim == 2 else decoded
    times = (1000 * (middle - start), 1000 * (end - middle))
    label = Path(name).stem if name.endswith(SUFFIX) else name
    return Exhibit(label, decoded, len(data), *times, map=coder.map(data))


def hang(original: Picture, exhibits: Sequence[Exhibit], crop: int = 512) -> Picture:
    """Draw all exhibits, cropped around the centre: uint8 [height, width, 3]."""
    height, width = (min(crop, side) for side in original.shape[:2])
    top, left = (original.shape[0] - height) // 2, (original.shape[1] - width) // 2
    window = (slice(top, top + height), slice(left, left + width))
    captions = [[f"original, {original.shape[1]}x{original.shape[0]}"]]
    captions += [caption(original, each) for each in exhibits]
    columns = [[original[window]]]
    for each in exhibits:
        column = [each.image[window], error_map(original, each.image)[window]]
        columns.append(column if each.map is None else [*column, each.map[window]])
    font = ImageFont.load_default(18)
    longest = max(font.getlength(line) for lines in captions for line in lines)
    cell = max(width, math.ceil(longest) + 8)
    rows = max(map(len, columns))
    size = (len(columns) * (cell + _GAP) - _GAP, _CAPTION + rows * (height + _GAP) - _GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for index, (lines, column) in enumerate(zip(captions, columns, strict=True)):
        x = index * (cell + _GAP)
        pen.multiline_text((x + 4, 5), "\n".join(lines), fill="black", font=font)
        for row, picture in enumerate(column):
            sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (x, _CAPTION + row * (height + _GAP)))
    return np.asarray(sheet)


def caption(original: Picture, each: Exhibit) -> list[str]:
    """An exhibit in two lines."""
    quality = f"{psnr(original, each.image):.2f} dB, SSIM {similarity(original, each.image)}"
    return [f"{each.name}: {each.bpp:.3f} bpp", quality]


def similarity(original: Picture, image: Picture) -> str:
    """SSIM of the lumas, to four digits; a dash for pictures too small for it."""
    if min(original.shape[:2]) < 11:
        return "-"
    return f"{ssim(luma(original), luma(image)):.4f}"


def error_map(original: Picture, image: Picture) -> Picture:
    """Absolute errors of the luma times `ERROR_GAIN`, white where there are none: uint8 [height, width]."""
    errors = np.abs(luma(original).astype(np.int32) - luma(image))
    shown: Picture = (255 - np.minimum(ERROR_GAIN * errors, 255)).astype(np.uint8)
    return shown
