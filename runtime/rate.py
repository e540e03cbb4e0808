"""Rate control: the finest quality whose stream fits a number of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable

LOWEST, HIGHEST = 1, 100


def finest_within(budget: int, size_at: Callable[[int], int]) -> int:
    """Find a quality whose stream takes at most `budget` bytes and uses as much of them as it can.

    Sizes grow with quality but for small ripples, so a bisection finds the neighbourhood, and a few steps
    up from there take what ripples leave.

    Args:
        budget: Bytes.
        size_at: Exact size in bytes of the stream at a quality of 1 to 100.

    Returns:
        The quality.

    Raises:
        TargetError: Even the lowest quality takes more.
    """
    sizes: dict[int, int] = {}

    def fits(quality: int) -> bool:
        if quality not in sizes:
            sizes[quality] = size_at(quality)
        return sizes[quality] <= budget

    if not fits(LOWEST):
        raise TargetError(
            f"this picture takes {sizes[LOWEST]} bytes at least, more than the {budget} asked for: "
            "raise the target or reduce the picture"
        )
    low, high = LOWEST, HIGHEST + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    for quality in range(low + 1, min(low + 3, HIGHEST) + 1):
        fits(quality)
    return max((quality for quality in sizes if fits(quality)), key=lambda quality: (sizes[quality], quality))
