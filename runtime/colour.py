"""Pictures to planes and back: BT.601 full range YCbCr as in JFIF, chroma at half size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

# ITU-T T.871 (JFIF), section 7.
_FORWARD = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=np.float32
)
_INVERSE = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], dtype=np.float32)
_OFFSET = np.array([0, 128, 128], dtype=np.float32)
_STRIP = 256


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
    planes = np.empty((3, *image.shape[:2]), dtype=np.uint8)
    for top in range(0, image.shape[0], _STRIP):
        # pillow's own conversion truncates: every plane half a level too low.
        strip = image[top : top + _STRIP].astype(np.float32) @ _FORWARD.T + _OFFSET
        planes[:, top : top + _STRIP] = np.clip(np.rint(strip), 0, 255).transpose(2, 0, 1)
    return [planes[0], *(np.asarray(Image.fromarray(plane).reduce(2)) for plane in planes[1:])]


def from_planes(planes: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Undo `to_planes`, chroma interpolated linearly: uint8 [height, width] or [height, width, 3]."""
    if len(planes) == 1:
        return planes[0]
    height, width = planes[0].shape
    chroma = [np.asarray(_double(plane).crop((0, 0, width, height))) for plane in planes[1:]]
    image = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _STRIP):
        strips = [np.asarray(plane[top : top + _STRIP]) for plane in (planes[0], *chroma)]
        strip = (np.stack(strips, axis=-1).astype(np.float32) - _OFFSET) @ _INVERSE.T
        image[top : top + _STRIP] = np.clip(np.rint(strip), 0, 255)
    return image


def _double(plane: NDArray[np.uint8]) -> Image.Image:
    height, width = plane.shape
    return Image.fromarray(plane).resize((2 * width, 2 * height), Image.Resampling.BILINEAR)
