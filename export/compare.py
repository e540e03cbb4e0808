"""How far two arrays are apart, and how far they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference of two arrays and the one allowed; `text` says it in words."""

    largest: float
    allowed: float
    text: str

    @property
    def within(self) -> bool:
        """Whether the difference is allowed; false where it is not a number."""
        return self.largest <= self.allowed


def compare(want: NDArray[Any], got: NDArray[Any], tolerance: float) -> Difference:
    """Compare what the graph gives, `got`, with what torch gives, `want`.

    Allowed is `tolerance * max(1, max |want|)` for floating point and nothing for integers and booleans.
    Another dtype or shape is an infinite difference; a NaN on either side, or on both, is a difference of
    NaN.
    """
    if want.dtype != got.dtype or want.shape != got.shape:
        text = f"is {got.dtype} {got.shape} where torch gives {want.dtype} {want.shape}"
        return Difference(np.inf, 0.0, text)
    a, b = want.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore"):  # equal infinities differ by nothing, not by NaN
        distance = np.where(a == b, 0.0, np.abs(a - b))
    largest = float(distance.max(initial=0.0))
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=1.0))
    allowed = tolerance * scale if np.issubdtype(want.dtype, np.floating) else 0.0
    return Difference(largest, allowed, f"differs by {largest:.3g} where {allowed:.3g} is allowed")
