"""Pictures from files and to files, by pillow."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from farlook.runtime.errors import ImageError, OutputError
from farlook.runtime.files import atomic_write
from farlook.runtime.stream import MAX_SIDE

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
"""Suffixes of picture files, and pillow's name for each format."""

_PILLOW_LIMIT = Lock()
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a picture: uint8 [height, width] if it is grey, [height, width, 3] if it has colours.

    A photograph that was taken sideways and says so (EXIF orientation) is turned upright.

    Raises:
        ImageError: The file is missing, is no picture, is damaged or too large, or has 16-bit samples,
            an alpha channel or several frames, which are not supported.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a directory, not a picture")
        with _open(path) as image:
            _check_kind(path, image)
            upright = ImageOps.exif_transpose(image)
            grey = upright.mode in ("1", "L")
            return np.asarray(upright.convert("L" if grey else "RGB"))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        known = ", ".join(sorted(set(FORMATS.values())))
        raise ImageError(f"{path} is not a picture that farlook reads ({known}), or it is damaged") from error
    except Exception as error:  # what pillow's readers raise on damaged files shares no base
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(f"cannot read {path}: {reason}") from error


def write_image(path: str | os.PathLike[str], image: NDArray[np.uint8]) -> None:
    """Write a picture in the format of its suffix; JPEG at quality 95, all others without loss.

    Raises:
        OutputError: The suffix is unknown, or the file cannot be written.
    """
    image_format = format_of(path)
    with atomic_write(path) as file:
        try:
            Image.fromarray(image).save(file, image_format, **_SAVE_OPTIONS.get(image_format, {}))
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write {path} as {image_format}: {error}") from error


def format_of(path: str | os.PathLike[str]) -> str:
    """The picture format of a file to be written, by its suffix.

    Raises:
        OutputError: The suffix is unknown.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(f"cannot write {path}: its suffix is none of {', '.join(sorted(FORMATS))}")
    return FORMATS[suffix]


def check_image(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Check that an array is a picture that can be coded, and return it as one.

    Raises:
        ImageError: It is not uint8 [height, width] or [height, width, 3], or a side is 0 or above 16384.
    """
    array = np.asarray(image)
    if array.dtype != np.uint8:
        raise ImageError(
            f"the picture has samples of type {array.dtype}; only 8-bit ones (uint8) are supported"
        )
    if array.ndim == 3 and array.shape[2] == 4:
        raise ImageError("the picture has an alpha channel, which is not supported: drop it (image[..., :3])")
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3):
        raise ImageError(
            f"the array has shape {array.shape}; a picture is [height, width] or [height, width, 3]"
        )
    _check_size("the picture", array.shape[1], array.shape[0])
    return np.ascontiguousarray(array)


def _open(path: Path) -> Image.Image:
    """Read a picture's head. Our own limit, checked before any pixel is decoded, stands for pillow's."""
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=sorted(set(FORMATS.values())))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_kind(path: Path, image: Image.Image) -> None:
    _check_size(str(path), *image.size)
    # An MPO, as drones' cameras write, is a JPEG followed by previews of it: its first frame is the picture.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError(
            f"{path} holds {getattr(image, 'n_frames', 1)} frames; save one of them to a file of its own"
        )
    # pillow opens 16-bit RGB as "RGB" and drops the low bytes: only the raw mode of its tiles tells.
    # A BMP's "BGR;16" is 16 bits a pixel, not a sample.
    deep = ";16" in str(getattr(image, "tile", "")) and image.format != "BMP"
    if image.mode.startswith(("I", "F")) or deep:
        raise ImageError(
            f"{path} has samples of more than 8 bits, which are not supported: convert it to 8 bits"
        )
    if "A" in image.getbands() or "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        raise ImageError(f"{path} has an alpha channel, which is not supported: remove it first")


def _check_size(what: str, width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"{what} has {width}x{height} pixels; sides of 1 to {MAX_SIDE} are supported")
