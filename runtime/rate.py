"""Rate control: the finest quality whose stream fits a number of bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from farlook.runtime.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

LOWEST, HIGHEST = 1, 100

_GROWTH = 0.03
"""About how much the logarithm of a stream's size grows with one quality."""
_GUESSES = 6
"""After so many guesses that trust in that growth, plain bisection ends the search."""


def finest_within(budget: int, size_at: Callable[[int], int]) -> int:
    """Find a quality whose stream takes at most `budget` bytes, while that of the next takes more.

    Args:
        budget: Bytes.
        size_at: Exact size in bytes of the stream at a quality of 1 to 100.

    Returns:
        The quality: the finest that fits, if sizes grow with quality.

    Raises:
        TargetError: Even the lowest quality takes more.
    """
    fits, exceeds = LOWEST - 1, HIGHEST + 1
    quality, tries = (LOWEST + HIGHEST) // 2, 0
    while exceeds - fits > 1:
        size = size_at(quality)
        tries += 1
        stride = round(math.log(max(budget, 1) / size) / _GROWTH)
        if size <= budget:
            fits, guess = quality, quality + max(stride, 1)
        else:
            exceeds, guess = quality, quality + min(stride, -1)
        if tries >= _GUESSES:
            guess = (fits + exceeds) // 2
        quality = min(max(guess, fits + 1), exceeds - 1)
    if fits < LOWEST:
        raise TargetError(
            f"this picture takes {size} bytes at least, more than the {budget} asked for: "
            "raise the target or reduce the picture"
        )
    return fits
