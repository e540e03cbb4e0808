"""Targets, and rate control of codecs of networks: the finest quality whose stream fits a number of bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

LOWEST, HIGHEST = 1, 100

_MAX_BPP = 64
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
        raise too_small(size, budget)
    return fits


def too_small(size: int, budget: int) -> TargetError:
    """The error for a budget that even the coarsest stream, of `size` bytes, exceeds."""
    return TargetError(
        f"this picture takes {size} bytes at least, more than the {budget} asked for: "
        "raise the target or reduce the picture"
    )


def target_bytes(
    pixels: int, quality: float | None, bpp: float | None, budget: int | None, *, whole: bool
) -> int | None:
    """Check a target.

    Args:
        pixels: Of the picture.
        quality: 1 to 100, or None.
        bpp: Bits a pixel, or None.
        budget: Bytes, or None.
        whole: Whether the codec knows only whole qualities.

    Returns:
        Bytes that the stream may take; None if a quality, or nothing, is asked for.

    Raises:
        UsageError: More than one is given, or one lies outside its range.
    """
    if sum(target is not None for target in (quality, bpp, budget)) > 1:
        raise UsageError("give one of quality, bpp and budget, not several")
    if quality is not None and not _is_quality(quality, whole):
        kind = "whole number" if whole else "number"
        raise UsageError(f"quality must be a {kind} from {LOWEST} to {HIGHEST}, not {quality}")
    if budget is not None and not (isinstance(budget, (int, np.integer)) and budget > 0):
        raise UsageError(f"budget must be a whole number of bytes above 0, not {budget}")
    if bpp is None:
        return budget
    if not (isinstance(bpp, (float, int, np.floating, np.integer)) and 0 < bpp <= _MAX_BPP):
        raise UsageError(f"bpp must be a number above 0 and at most {_MAX_BPP}, not {bpp}")
    return int(bpp * pixels / 8)


def _is_quality(quality: float, whole: bool) -> bool:
    kinds = (int, np.integer) if whole else (int, np.integer, float, np.floating)
    return isinstance(quality, kinds) and LOWEST <= quality <= HIGHEST
