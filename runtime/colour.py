"""Pictures to planes and back: BT.601 full range YCbCr as in JFIF, chroma at half size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_planes(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Split a picture into the planes that are coded.

    Args:
        image: Grey, uint8 [height, width], or RGB, uint8 [height, width, 3].

    Returns:
        One plane for grey; luma and two chroma planes of half the size, rounded up, for RGB: each chroma
        sample is the mean of the up to four it stands for.
    """
    if image.ndim == 2:
        return [image]
    luma, *chroma = Image.fromarray(image).convert("YCbCr").split()
    return [np.asarray(luma), *(np.asarray(plane.reduce(2)) for plane in chroma)]


def from_planes(planes: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Undo `to_planes`, chroma interpolated linearly: uint8 [height, width] or [height, width, 3]."""
    if len(planes) == 1:
        return planes[0]
    height, width = planes[0].shape
    chroma = [_double(plane).crop((0, 0, width, height)) for plane in planes[1:]]
    merged = Image.merge("YCbCr", [Image.fromarray(planes[0]), *chroma])
    return np.asarray(merged.convert("RGB"))


def _double(plane: NDArray[np.uint8]) -> Image.Image:
    height, width = plane.shape
    return Image.fromarray(plane).resize((2 * width, 2 * height), Image.Resampling.BILINEAR)
