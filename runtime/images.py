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

_DEEP_FORMATS = ("PNG", "TIFF")
_PILLOW_LIMIT = Lock()
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
}


def read_image(path: str | os.PathLike[str], *, deep: bool = False) -> NDArray[Any]:
    """Read a picture: uint8 [height, width] if it is grey, [height, width, 3] if it has colours.

    A photograph that was taken sideways and says so (EXIF orientation) is turned upright.

    Args:
        path: Where it is.
        deep: Whether grey pictures of 16-bit samples will do, PNG or TIFF: uint16 [height, width].

    Raises:
        ImageError: The file is missing, is no picture, is damaged or too large, or has 16-bit samples that are
            not asked for, an alpha channel or several frames, which are not supported.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a directory, not a picture")
        with _open(path) as image:
            is_deep = _check_kind(path, image, deep)
            upright = ImageOps.exif_transpose(image)
            if is_deep:
                return np.asarray(upright).astype(np.uint16)
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


def write_image(path: str | os.PathLike[str], image: NDArray[Any]) -> None:
    """Write a picture in the format of its suffix; JPEG at quality 95, all others without loss.

    Args:
        path: Where to.
        image: uint8 [height, width] or [height, width, 3]; for PNG and TIFF also uint16 [height, width].

    Raises:
        OutputError: The suffix is unknown, its format cannot hold such samples, or the file cannot be written.
    """
    image_format = format_of(path)
    if image.dtype == np.uint16 and (image.ndim == 3 or image_format not in _DEEP_FORMATS):
        kind = "RGB" if image.ndim == 3 else "grey"
        raise OutputError(
            f"cannot write {path}: {kind} samples of 16 bits; "
            + ("take them from farlook.decode" if image.ndim == 3 else "only PNG and TIFF hold them here")
        )
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


def check_image(image: NDArray[Any], *, deep: bool = False) -> NDArray[Any]:
    """Check that an array is a picture that can be coded, and return it as one, contiguous.

    Args:
        image: The array.
        deep: Whether uint16 will do as well as uint8.

    Raises:
        ImageError: It is not [height, width] or [height, width, 3] of that type, or a side is 0 or above 16384.
    """
    array = np.asarray(image)
    if array.dtype.newbyteorder("=") not in (np.uint8, *([np.uint16] if deep else [])):
        kinds = "8-bit ones (uint8) and 9- to 16-bit ones (uint16)" if deep else "8-bit ones (uint8)"
        raise ImageError(f"the picture has samples of type {array.dtype}; only {kinds} are supported")
    if array.ndim == 3 and array.shape[2] == 4:
        raise ImageError("the picture has an alpha channel, which is not supported: drop it (image[..., :3])")
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3):
        raise ImageError(
            f"the array has shape {array.shape}; a picture is [height, width] or [height, width, 3]"
        )
    _check_size("the picture", array.shape[1], array.shape[0])
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _open(path: Path) -> Image.Image:
    """Read a picture's head. Our own limit, checked before any pixel is decoded, stands for pillow's."""
    with _PILLOW_LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=sorted(set(FORMATS.values())))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_kind(path: Path, image: Image.Image, deep: bool) -> bool:
    """Refuse what is not supported; whether the samples are of 16 bits, where `deep` allows it."""
    _check_size(str(path), *image.size)
    # An MPO, as drones' cameras write, is a JPEG followed by previews of it: its first frame is the picture.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ImageError(
            f"{path} holds {getattr(image, 'n_frames', 1)} frames; save one of them to a file of its own"
        )
    # pillow opens 16-bit RGB as "RGB" and drops the low bytes: only the raw mode of its tiles tells.
    # A BMP's "BGR;16" is 16 bits a pixel, not a sample.
    is_deep = ";16" in str(getattr(image, "tile", "")) and image.format != "BMP"
    if deep and is_deep and image.mode.startswith("I"):
        return True
    if deep and is_deep:
        raise ImageError(
            f"{path} has colours of 16 bits, which pillow cannot read: give the samples to farlook.encode, "
            "or convert it to 8 bits"
        )
    if image.mode.startswith(("I", "F")) or is_deep:
        raise ImageError(
            f"{path} has samples of more than 8 bits, which are not supported: convert it to 8 bits"
        )
    if "A" in image.getbands() or "transparency" in image.info or image.mode in ("PA", "La", "RGBa"):
        raise ImageError(f"{path} has an alpha channel, which is not supported: remove it first")
    return False


def _check_size(what: str, width: int, height: int) -> None:
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"{what} has {width}x{height} pixels; sides of 1 to {MAX_SIDE} are supported")
