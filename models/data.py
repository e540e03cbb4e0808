"""Training images: which there are, their luma, and 8x8 blocks drawn from them.

folder --find_images--> paths --load_luma--> uint8 [height, width] --sample_blocks--> uint8 [n, 64]
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from farlook.runtime.errors import ImageError, TrainingError, UsageError
from farlook.runtime.images import FORMATS, read_image

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

BLOCK = 8
PIXELS = BLOCK * BLOCK


class SkippedImageWarning(UserWarning):
    """Some training images could not be used; the message names each and says why."""


def find_images(folder: str | os.PathLike[str]) -> list[Path]:
    """List the pictures in `folder` and the folders below it, in the same order on every machine.

    Hidden files and folders are left out.

    Raises:
        TrainingError: The folder does not exist, or holds no picture.
    """
    root = Path(folder)
    if not root.is_dir():
        raise TrainingError(
            f"{root} is {'not a folder' if root.exists() else 'missing'}; name a folder of images"
        )
    inside = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in FORMATS)
    visible = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
    files = [root / path for path in sorted(visible, key=Path.as_posix) if (root / path).is_file()]
    if not files:
        raise TrainingError(f"{root} holds no image; known are {', '.join(sorted(FORMATS))}")
    return files


def load_luma(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture's luma (Rec. 601, as pillow's mode "L"): uint8 [height, width].

    Raises:
        ImageError: The picture cannot be read, or is of a kind that is not supported.
    """
    pixels = read_image(path)
    return pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))


def sample_blocks(
    folder: str | os.PathLike[str],
    per_image: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Draw 8x8 blocks of luma from all images of `folder`, at any offset, not only on the grid.

    An image gives one block for every 64 of its pixels, `per_image` at most, so that a few large images do
    not outweigh many small ones. The same files and seed give the same blocks. Images that cannot be read
    or are smaller than a block are skipped: one `SkippedImageWarning` counts and names them.

    Args:
        folder: Searched by `find_images`.
        per_image: The most blocks that one image gives.
        seed: Of the offsets.
        progress: Called with (images read, images in all) after each image.

    Returns:
        uint8 [n, 64], row by row within a block; ordered by image.

    Raises:
        TrainingError: The folder is missing or empty, or no image in it can be used.
    """
    if per_image < 1:
        raise UsageError(f"per_image is {per_image}; at least one block an image is needed")
    files = find_images(folder)
    rng = np.random.default_rng(seed)
    drawn: list[NDArray[np.uint8]] = []
    skipped: list[str] = []
    for done, path in enumerate(files, start=1):
        try:
            drawn.append(_draw(_large_enough(path), per_image, rng))
        except ImageError as error:
            skipped.append(str(error))
        if progress is not None:
            progress(done, len(files))
    report_skipped(skipped, len(files), Path(folder))
    return np.concatenate(drawn)


def sample_pictures(
    folder: str | os.PathLike[str],
    count: int,
    progress: Callable[[int, int], None] | None = None,
    side: int = 512,
) -> Iterator[NDArray[np.uint8]]:
    """Read `count` images, evenly spread over the sorted folder, cropped around their centre.

    Images that cannot be used are passed over in silence: `sample_blocks` has named them.

    Args:
        folder: Searched by `find_images`.
        count: The most images to read.
        progress: Called with (images done, images in all) when the next image is asked for.
        side: The longest side that is kept, in pixels.

    Yields:
        uint8 [height, width] or [height, width, 3].
    """
    files = find_images(folder)
    count = min(count, len(files))
    for index in range(count):
        try:
            image = read_image(files[index * len(files) // count])
        except ImageError:
            continue
        if min(image.shape[:2]) >= BLOCK:
            top, left = (max(length - side, 0) // 2 for length in image.shape[:2])
            yield image[top : top + side, left : left + side]
        if progress is not None:
            progress(index + 1, count)


def varied_pictures(
    folder: str | os.PathLike[str],
    count: int,
    side: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[NDArray[np.uint8]]:
    """Read pictures of many kinds: half of them the largest of the folder, half evenly spread over the rest.

    Large pictures are nearest to what cameras give; small ones bring variety.

    Args:
        folder: Searched by `find_images`.
        count: The most pictures to read.
        side: Longest side that is kept of a picture, around its centre, in pixels.
        progress: Called with (pictures read, pictures to read) after each.

    Returns:
        uint8 [height, width] or [height, width, 3] each, contiguous; those that cannot be used are left out.

    Raises:
        TrainingError: The folder is missing or empty, or no picture in it can be used.
    """
    files = find_images(folder)
    by_size = sorted(files, key=lambda path: (-path.stat().st_size, path.as_posix()))
    large, rest = by_size[: count // 2], sorted(by_size[count // 2 :], key=Path.as_posix)
    spread = min(count - len(large), len(rest))
    chosen = [*large, *(rest[index * len(rest) // spread] for index in range(spread))]
    pictures, skipped = [], []
    for done, path in enumerate(chosen, start=1):
        try:
            image = read_image(path)
        except ImageError as error:
            skipped.append(str(error))
            continue
        top, left = (max(length - side, 0) // 2 // BLOCK * BLOCK for length in image.shape[:2])
        pictures.append(np.ascontiguousarray(image[top : top + side, left : left + side]))
        if progress is not None:
            progress(done, len(chosen))
    report_skipped(skipped, len(chosen), Path(folder))
    return pictures


def describe_images(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Sum up a data folder without naming where it lies: how many images, and a digest of names and sizes.

    The digest changes when a file is added, removed, renamed or changes its length.
    """
    root = Path(folder)
    files = find_images(root)
    lines = (f"{path.relative_to(root).as_posix()}\t{path.stat().st_size}\n" for path in files)
    return {"images": len(files), "digest": hashlib.sha256("".join(lines).encode()).hexdigest()}


def _large_enough(path: Path) -> NDArray[np.uint8]:
    luma = load_luma(path)
    if min(luma.shape) < BLOCK:
        height, width = luma.shape
        raise ImageError(f"{path} is {width}x{height} pixels, smaller than a block of {BLOCK}x{BLOCK}")
    return luma


def _draw(luma: NDArray[np.uint8], per_image: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    count = min(per_image, luma.size // PIXELS)
    windows = sliding_window_view(luma, (BLOCK, BLOCK))
    rows = rng.integers(windows.shape[0], size=count)
    columns = rng.integers(windows.shape[1], size=count)
    return windows[rows, columns].reshape(count, PIXELS)


def report_skipped(reasons: list[str], total: int, folder: Path) -> None:
    """Warn that some of the `total` images in `folder` were skipped.

    Raises:
        TrainingError: All of them were.
    """
    if not reasons:
        return
    listing = "".join(f"\n  {reason}" for reason in reasons)
    if len(reasons) == total:
        raise TrainingError(f"none of the {total} images in {folder} can be used:{listing}")
    message = f"skipped {len(reasons)} of {total} images in {folder}:{listing}"
    warnings.warn(message, SkippedImageWarning, stacklevel=3)
