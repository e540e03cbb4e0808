"""Pictures to calibrate on: a directory of files, one at a time, or a synthetic set."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.errors import CalibrationError, ImageError, UsageError
from farlook.runtime.images import FORMATS, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

SIDE = 512
"""Larger pictures are cut to a square of this many pixels around their middle."""
LEAST = 8
"""Smaller sides say nothing about a network."""
SYNTHETIC = 16

_SEED = 2025


class PictureSet:
    """Pictures, read anew each time it is walked through; never more than one is in memory.

    Attributes:
        used: How many pictures the last walk gave.
        skipped: Files that the last walk could not use, and why.

    Args:
        folder: Where to look for pictures, folders inside included; None for the synthetic set.
        limit: At most so many, spread evenly over the names; None for all.
        side: See `SIDE`.
        warn: Told of every file that cannot be used.

    Raises:
        UsageError: The limit or the side is too small.
        ImageError: There is no such folder, or no picture file in it.
    """

    def __init__(
        self,
        folder: Path | None,
        limit: int | None = None,
        side: int = SIDE,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        if (limit is not None and limit < 1) or side < LEAST:
            raise UsageError(f"a limit is at least 1, and a side at least {LEAST}, not {limit} and {side}")
        self._paths = None if folder is None else _spread(_find(folder), limit)
        self._folder, self._side, self._warn = folder, side, warn
        self._count = min(limit or SYNTHETIC, SYNTHETIC)
        self._digest = hashlib.sha256()
        self.used = 0
        self.skipped: dict[str, str] = {}

    def __len__(self) -> int:
        """How many pictures there are at most."""
        return self._count if self._paths is None else len(self._paths)

    def __iter__(self) -> Iterator[Picture]:
        """Give each picture in turn, uint8 [height, width] or [height, width, 3].

        Raises:
            CalibrationError: In the end, none was usable.
        """
        self._digest, self.used, self.skipped = hashlib.sha256(), 0, {}
        for picture in self._synthetic() if self._paths is None else self._read(self._paths):
            self.used += 1
            self._digest.update(repr(picture.shape).encode() + picture.tobytes())
            yield picture
        if not self.used:
            raise CalibrationError(
                f"none of the {len(self)} picture files in {self._folder} can be used; the first: "
                f"{next(iter(self.skipped.values()))}"
            )

    def few(self, count: int, side: int) -> list[Picture]:
        """Some of the pictures, spread evenly, and of each the middle; for what is done many times.

        Raises:
            CalibrationError: None is usable.
        """
        part = PictureSet(self._folder, min(count, len(self)), min(side, self._side))
        if self._paths is not None:
            usable = [path for path in self._paths if str(path) not in self.skipped]
            part._paths = _spread(usable or self._paths, count)
        return list(part)

    def usable(self, most: int) -> int:
        """How many of the pictures can be used; the files are read until there are `most`."""
        return min(self._count, most) if self._paths is None else self._usable(self._paths, most)

    def hold_out(self, count: int, side: int, leave: int) -> dict[str, Picture]:
        """Take usable pictures out of the set, spread evenly over it: no walk gives them from now on.

        Args:
            count: How many.
            side: Of each, the middle of so many pixels.
            leave: Usable pictures that have to be left.

        Returns:
            The pictures by name; none, and the set as it was, if there are not enough for both.
        """
        side = min(side, self._side)
        if self._paths is None:
            return {f"synthetic {i}": synthetic(i, side) for i in range(self._count, self._count + count)}
        held: dict[Path, Picture] = {}
        for path in dict.fromkeys([*_spread(self._paths, count), *self._paths]):
            if len(held) == count:
                break
            with suppress(ImageError):
                held[path] = middle(self._load(path), side)
        rest = [path for path in self._paths if path not in held]
        if len(held) < count or self._usable(rest, leave) < leave:
            return {}
        self._paths = rest
        return {str(path.relative_to(self._folder or "")): picture for path, picture in held.items()}

    def describe(self) -> dict[str, object]:
        """What the last walk gave: number, SHA-256 of the pixels, source."""
        return {
            "source": "synthetic" if self._paths is None else "pictures",
            "used": self.used,
            "skipped": len(self.skipped),
            "sha256": self._digest.hexdigest(),
            "side": self._side,
        }

    def _read(self, paths: list[Path]) -> Iterator[Picture]:
        for path in paths:
            try:
                picture = self._load(path)
            except ImageError as error:
                self.skipped[str(path)] = str(error)
                self._warn(f"skipped: {error}")
                continue
            yield picture

    def _load(self, path: Path) -> Picture:
        picture = read_image(path)
        if min(picture.shape[:2]) < LEAST:
            raise ImageError(f"{path} has a side below {LEAST} pixels")
        return middle(picture, self._side)

    def _usable(self, paths: list[Path], most: int) -> int:
        """How many of the files are pictures that can be used, at most so many."""
        found = 0
        for path in paths:
            if found >= most:
                break
            with suppress(ImageError):
                self._load(path)
                found += 1
        return found

    def _synthetic(self) -> Iterator[Picture]:
        for index in range(self._count):
            yield synthetic(index, min(self._side, SIDE))


def middle(picture: Picture, side: int) -> Picture:
    """The middle of a picture, at most `side` pixels high and wide."""
    top, left = (max(length - side, 0) // 2 for length in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def synthetic(index: int, side: int) -> Picture:
    """A picture made of numbers: noise whose spectrum falls like a photograph's, with edges in it.

    uint8 [side, side, 3], the same for the same arguments.
    """
    rng = np.random.default_rng([_SEED, index])
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    fall = np.maximum(frequency, 1 / side) ** -rng.uniform(0.8, 1.6)
    planes = []
    for _ in range(3):
        spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * fall
        spectrum[0, 0] = 0
        field = np.fft.irfft2(spectrum, s=(side, side))
        planes.append(field / max(float(field.std()), 1e-9))
    grey = planes[0]
    colours = np.stack([grey, 0.9 * grey + 0.3 * planes[1], 0.8 * grey + 0.4 * planes[2]], axis=-1)
    for _ in range(int(rng.integers(2, 9))):
        colours[_half_plane(rng, side)] += rng.uniform(-1.5, 1.5, 3)
    contrast, mean = rng.uniform(15, 70), rng.uniform(60, 190)
    return np.clip(np.rint(colours * contrast + mean), 0, 255).astype(np.uint8)


def _half_plane(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    """All pixels on one side of a random line."""
    angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.4, 0.4) * side
    y, x = np.mgrid[:side, :side] - side / 2
    mask: NDArray[np.bool_] = x * np.cos(angle) + y * np.sin(angle) > offset
    return mask


def _find(folder: Path) -> list[Path]:
    try:
        if not folder.is_dir():
            raise ImageError(f"there is no directory {folder}: give one with pictures, or --synthetic")
        found = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in FORMATS and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise ImageError(f"cannot look through {folder}: {error.strerror or error}") from error
    if not found:
        raise ImageError(f"no picture in {folder}: none with the suffix {', '.join(sorted(FORMATS))}")
    return found


def _spread(paths: list[Path], limit: int | None) -> list[Path]:
    if limit is None or limit >= len(paths):
        return paths
    return [paths[index * len(paths) // limit] for index in range(limit)]
