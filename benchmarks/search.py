"""The setting of a codec that makes the most of a number of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def largest_within(settings: Sequence[float], encode: Callable[[float], bytes], budget: int) -> int | None:
    """The last of `settings` whose file takes at most `budget` bytes, by halving; None if the first takes more.

    Files are taken to grow from setting to setting. Where a codec's do not quite, this is one of the places where
    they pass the budget.

    Args:
        settings: From the smallest files to the largest.
        encode: Makes the file of a setting.
        budget: Bytes.

    >>> largest_within([1, 2, 3], lambda setting: bytes(10 * setting), 25)
    1
    """
    fits, exceeds = -1, len(settings)
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if len(encode(settings[middle])) <= budget:
            fits = middle
        else:
            exceeds = middle
    return fits if fits >= 0 else None
