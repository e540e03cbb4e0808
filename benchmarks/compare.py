"""Original, JPEG and farlook side by side, at the same bytes; block8 by each of its decoders."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from farlook.benchmarks.jpeg import decode_jpeg, encode_jpeg, scale_within
from farlook.benchmarks.metrics import psnr
from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.info import info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.codec import Codec

Result = TypeVar("Result")

_CAPTION, _GAP = 34, 8


@dataclass(frozen=True)
class Panel:
    """One codec's result.

    Attributes:
        name: What to call it.
        image: The reconstruction, uint8, the shape of the original.
        size: Bytes; 0 for the original.
        encode_ms: Milliseconds to encode; None for the original.
        decode_ms: Milliseconds to decode; None for the original.
    """

    name: str
    image: NDArray[np.uint8]
    size: int = 0
    encode_ms: float | None = None
    decode_ms: float | None = None

    @property
    def bpp(self) -> float:
        """Bits a pixel."""
        return 8 * self.size / float(self.image.shape[0] * self.image.shape[1])


def compare(image: NDArray[np.uint8], codec: Codec, bpp: float) -> list[Panel]:
    """Code a picture with farlook at `bpp`, and with JPEG (4:2:0, optimised Huffman tables) at no more bytes.

    Times are those of coding at the quality that was found, without the search for it.

    Returns:
        The original, JPEG unless its smallest file is larger than farlook's stream, farlook, and of block8 the same
        stream decoded by the network for the ground, where that can be had.

    Raises:
        FarlookError: See `Codec.encode`.
    """
    found = codec.encode(image, bpp=bpp)
    panels = [Panel("original", image)]
    scale = scale_within(image, len(found), optimise=True)
    if scale is not None:
        data, spent = _timed(partial(encode_jpeg, image, scale, optimise=True))
        panels.append(_panel("JPEG", data, spent, decode_jpeg))
    _, spent = _timed(partial(codec.encode, image, quality=info(found).quality))
    for name, decode in _decoders(codec).items():
        decode(found)  # the first run of a network allocates
        panels.append(_panel(name, found, spent, decode))
    return panels


def _decoders(codec: Codec) -> dict[str, Callable[[bytes], NDArray[np.uint8]]]:
    """What decodes a codec's streams, by what to call it."""
    name = codec.bundle.codec
    found: dict[str, Callable[[bytes], NDArray[np.uint8]]] = {name: codec.decode}
    if isinstance(codec, Block8Codec) and (network := codec.choose_decoder("auto")[0]) is not None:
        found[f"{name}, neural decoder"] = partial(codec.decode, decoder=network)
    return found


def draw(original: NDArray[np.uint8], panels: Sequence[Panel], crop: int = 512) -> NDArray[np.uint8]:
    """Panels in a row under captions with bytes, bpp and PSNR of the whole picture, cropped around the centre.

    Returns:
        uint8 [height, width, 3].
    """
    height, width = (min(crop, side) for side in original.shape[:2])
    top, left = (original.shape[0] - height) // 2, (original.shape[1] - width) // 2
    font = ImageFont.load_default(18)
    captions = [caption(original, panel) for panel in panels]
    cell = max(width, *(math.ceil(font.getlength(text)) + 8 for text in captions))
    sheet = Image.new("RGB", (len(panels) * (cell + _GAP) - _GAP, height + _CAPTION), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (panel, text) in enumerate(zip(panels, captions, strict=True)):
        x = index * (cell + _GAP)
        sheet.paste(Image.fromarray(panel.image[top : top + height, left : left + width]), (x, _CAPTION))
        pen.text((x + 4, 7), text, fill="black", font=font)
    return np.asarray(sheet)


def caption(original: NDArray[np.uint8], panel: Panel) -> str:
    """A panel in one line."""
    if not panel.size:
        return f"{panel.name}, {original.shape[1]}x{original.shape[0]}"
    return f"{panel.name}: {panel.size} bytes, {panel.bpp:.3f} bpp, {psnr(original, panel.image):.2f} dB"


def _panel(name: str, data: bytes, encode_ms: float, decode: Callable[[bytes], NDArray[np.uint8]]) -> Panel:
    image, decode_ms = _timed(partial(decode, data))
    return Panel(name, image, len(data), encode_ms, decode_ms)


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """What some work gives, and the milliseconds it takes."""
    start = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - start)
