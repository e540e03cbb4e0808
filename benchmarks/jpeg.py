"""JPEG as an anchor: libjpeg-turbo through pillow, at any number of bytes it reaches."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

# ITU-T T.81, tables K.1 and K.2: what libjpeg scales by its quality.
_LUMA = (
    "16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62 "
    "18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"
)
_CHROMA = (
    "17 18 24 47 99 99 99 99 18 21 26 66 99 99 99 99 24 26 56 99 99 99 99 99 47 66 99 99 99 99 99 99 "
    "99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99 99"
)
# At the coarsest every entry is 255, at the finest 1.
_COARSEST, _FINEST = 255.0, 0.001
_TABLES = [[int(entry) for entry in table.split()] for table in (_LUMA, _CHROMA)]


def encode_jpeg(image: NDArray[np.uint8], scale: float, *, optimise: bool) -> bytes:
    """A baseline JPEG, 4:2:0, with the standard quantisation tables times `scale`.

    Args:
        image: uint8 [height, width] or [height, width, 3].
        scale: 1 is libjpeg's quality 50; any positive number, finer than libjpeg's 100 qualities.
        optimise: Huffman tables made for this picture, instead of the standard ones.
    """
    tables = [[min(max(round(entry * scale), 1), 255) for entry in table] for table in _TABLES]
    out = BytesIO()
    colour = {} if image.ndim == 2 else {"subsampling": "4:2:0"}
    Image.fromarray(image).save(
        out, "JPEG", qtables=tables[: 1 + (image.ndim == 3)], optimize=optimise, **colour
    )
    return out.getvalue()


def scale_within(image: NDArray[np.uint8], budget: int, *, optimise: bool) -> float | None:
    """The finest `scale` whose JPEG takes at most `budget` bytes; None if even the smallest takes more."""
    coarse, fine = _COARSEST, _FINEST
    if len(encode_jpeg(image, coarse, optimise=optimise)) > budget:
        return None
    for _ in range(20):
        middle = math.sqrt(coarse * fine)
        if len(encode_jpeg(image, middle, optimise=optimise)) <= budget:
            coarse = middle
        else:
            fine = middle
    return coarse


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """The picture of a JPEG."""
    return np.asarray(Image.open(BytesIO(data)))
