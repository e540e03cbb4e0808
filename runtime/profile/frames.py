"""What is coded in a profile: sizes by name, and pictures made to fit them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import UsageError
from farlook.runtime.stream import MAX_SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = {
    "480p": (640, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "4k": (3840, 2160),
    "12mp": (4000, 3000),
    "8k": (7680, 4320),
}
"""Width and height by name."""


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of a size, by name as in "1080p", or in pixels as in "1920x1080".

    Raises:
        UsageError: It is neither, or a side lies outside 1 to 16384.
    """
    if text.lower() in SIZES:
        return SIZES[text.lower()]
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text.strip())
    if match is None:
        raise UsageError(f"a size is {', '.join(SIZES)}, or WIDTHxHEIGHT as in 1920x1080, not {text!r}")
    width, height = int(match[1]), int(match[2])
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UsageError(f"a picture has sides of 1 to {MAX_SIDE}, not {width}x{height}")
    return width, height


def fit(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """A picture of that size, without resampling: cut, or continued by its mirror image.

    Resampling would change how much detail a pixel carries, and so the rate and the time to code it.

    Args:
        image: [height, width] or [height, width, 3].
        width: Pixels wanted.
        height: Pixels wanted.
    """
    rows, columns = _mirrored(image.shape[0], height), _mirrored(image.shape[1], width)
    return np.ascontiguousarray(image[rows][:, columns])


def _mirrored(length: int, wanted: int) -> NDArray[np.intp]:
    """Indices 0 to length - 1, back to 0, and so on."""
    places = np.arange(wanted) % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
