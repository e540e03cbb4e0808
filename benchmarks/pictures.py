"""The pictures that benchmarks code: found in folders, as luma or RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from farlook.runtime.errors import ImageError
from farlook.runtime.images import FORMATS, read_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MODES = ("luma", "rgb")
"""What of a picture is coded: its luma (Rec. 601, as pillow's mode "L" rounds it), or all three bands."""


def find_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, by name.

    Raises:
        ImageError: There is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ImageError(f"there is no folder {folder}")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    if not found:
        raise ImageError(f"there is no picture in {folder}")
    return found


def load(path: Path, mode: str) -> NDArray[np.uint8]:
    """A picture as "luma", uint8 [height, width], or as "rgb", uint8 [height, width, 3].

    Raises:
        ImageError: See `read_image`.
    """
    image = Image.fromarray(read_image(path))
    return np.ascontiguousarray(image.convert("L" if mode == "luma" else "RGB"))


def luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma of a picture; a grey one is its own."""
    return image if image.ndim == 2 else np.asarray(Image.fromarray(image).convert("L"))


def thumbnail(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The largest square around the centre, reduced to `side` x `side` pixels by a Lanczos filter."""
    height, width = image.shape[:2]
    square = min(height, width)
    left, top = (width - square) // 2, (height - square) // 2
    crop = Image.fromarray(image).crop((left, top, left + square, top + square))
    return np.asarray(crop.resize((side, side), Image.Resampling.LANCZOS))


def pixels(image: NDArray[np.uint8]) -> int:
    """How many pixels a picture has, whatever its bands."""
    return int(image.shape[0]) * int(image.shape[1])
