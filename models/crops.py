"""Training crops: all pictures of a folder in memory once, and random squares cut from them.

folder --load_pool--> uint8 pictures --draw--> float32 [n, 3, side, side], flipped and turned
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from farlook.models.data import find_images, report_skipped
from farlook.runtime.errors import ImageError, TrainingError
from farlook.runtime.images import read_image

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

POOL_BYTES = 400_000_000
"""What a pool takes at most, unless very many pictures make even small parts of them larger."""

_SIDES = (4096, 2048, 1536, 1024, 768, 640, 512, 448, 384, 320, 256)


class CropPool:
    """Pictures in memory, drawn from by area.

    Args:
        pictures: uint8 [height, width, 3], at least as large as the crops.
    """

    def __init__(self, pictures: Sequence[NDArray[np.uint8]]) -> None:
        self._pictures = [torch.from_numpy(picture) for picture in pictures]
        areas = torch.tensor([picture.shape[0] * picture.shape[1] for picture in pictures])
        self._ends = torch.cumsum(areas, 0)

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def pixels(self) -> int:
        """Pixels of all pictures."""
        return int(self._ends[-1])

    def draw(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        """Cut `count` squares at random, each turned and flipped at random: [count, 3, side, side] of 0 to 1."""
        places = torch.randint(self.pixels, (count,), generator=generator)
        chosen = torch.searchsorted(self._ends, places, right=True)
        ways = torch.randint(1 << 30, (count, 3), generator=generator).tolist()
        crops = [
            self._cut(self._pictures[int(index)], side, *way) for index, way in zip(chosen, ways, strict=True)
        ]
        return torch.stack(crops).permute(0, 3, 1, 2).float() / 255.0

    @staticmethod
    def _cut(picture: Tensor, side: int, row: int, column: int, turn: int) -> Tensor:
        top, left = row % (picture.shape[0] - side + 1), column % (picture.shape[1] - side + 1)
        crop = torch.rot90(picture[top : top + side, left : left + side], turn & 3)
        return crop.flip(0) if turn & 4 else crop


def load_pool(
    folder: str | os.PathLike[str],
    side: int,
    progress: Callable[[int, int], None] | None = None,
    limit: int = POOL_BYTES,
    *,
    keep: Callable[[Path], bool] | None = None,
) -> CropPool:
    """Read all pictures of `folder`; of large ones only the middle, so that all fit into `limit` bytes.

    Pictures that cannot be read, or are smaller than a crop, are skipped: one `SkippedImageWarning` names them.

    Args:
        folder: Searched by `find_images`.
        side: Of the crops, in pixels.
        progress: Called with (pictures read, pictures in all) after each.
        limit: Bytes that the pictures may take.
        keep: Says of a picture whether it is read; None: all are.

    Raises:
        TrainingError: The folder is missing or empty, or no picture in it can be used.
    """
    files = [path for path in find_images(folder) if keep is None or keep(path)]
    if not files:
        raise TrainingError(f"{folder} has too few pictures: none is left for this use")
    longest = max(_longest_side(files, limit), side)
    pictures, skipped = [], []
    for done, path in enumerate(files, start=1):
        try:
            pictures.append(_middle(_read(path, side), longest))
        except ImageError as error:
            skipped.append(str(error))
        if progress is not None:
            progress(done, len(files))
    report_skipped(skipped, len(files), Path(folder))
    return CropPool(pictures)


def _read(path: Path, side: int) -> NDArray[np.uint8]:
    image = read_image(path)
    if min(image.shape[:2]) < side:
        height, width = image.shape[:2]
        raise ImageError(f"{path} is {width}x{height} pixels, smaller than a crop of {side}x{side}")
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def _middle(image: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    top, left = (max(length - longest, 0) // 2 for length in image.shape[:2])
    return np.array(image[top : top + longest, left : left + longest])


def _longest_side(files: Sequence[Path], limit: int) -> int:
    """The side to which pictures are cropped so that they fit; sizes are read from the files' headers."""
    sizes = []
    for path in files:
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue  # reported when it is read
    for longest in _SIDES:
        if sum(3 * min(width, longest) * min(height, longest) for width, height in sizes) <= limit:
            return longest
    return _SIDES[-1]
