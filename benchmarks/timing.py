"""Codecs to be timed: one setting from 0 to 1, bare calls without conversions, and their memory."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from farlook.benchmarks.block8_codec import load_block8
from farlook.benchmarks.other_codecs import library
from farlook.runtime.errors import FarlookError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_STEPS = 14
_SMALL = 64


class Coder(Protocol):
    """A codec whose `encode` and `decode` do nothing but code."""

    @property
    def description(self) -> str:
        """The library and its options."""

    def setting(self, fineness: float) -> float:
        """Its own setting, from the smallest file at 0 to the largest at 1."""

    def encode(self, image: NDArray[np.uint8], setting: float, threads: int = 1) -> bytes:
        """A file."""

    def decode(self, data: bytes, threads: int = 1) -> NDArray[np.uint8]:
        """The picture, with a third axis where the library gives grey pictures one."""


class Block8Coder:
    """farlook's block8, tiles layout, default mtu."""

    description = "farlook's block8: quality, tiles, mtu 1024"

    def __init__(self, grey: bool) -> None:
        self._codec = load_block8()

    def setting(self, fineness: float) -> float:
        """Quality 1 to 100, not only whole ones."""
        return 1 + 99 * fineness

    def encode(self, image: NDArray[np.uint8], setting: float, threads: int = 1) -> bytes:
        """See `Coder`."""
        return self._codec.encode(image, quality=setting, threads=threads)

    def decode(self, data: bytes, threads: int = 1) -> NDArray[np.uint8]:
        """See `Coder`."""
        return self._codec.decode(data, threads=threads)


class SimpleJpeg:
    """libjpeg-turbo, standard Huffman tables, with its fast options."""

    def __init__(self, grey: bool) -> None:
        self._library = library("simplejpeg")
        self._colours, self._sampling = ("GRAY", "Gray") if grey else ("RGB", "420")
        self.description = (
            f"libjpeg-turbo (simplejpeg {self._library.__version__}), baseline, 4:2:0, standard tables, "
            "fastdct and fastupsample"
        )

    def setting(self, fineness: float) -> float:
        """Quality 1 to 100."""
        return round(1 + 99 * fineness)

    def encode(self, image: NDArray[np.uint8], setting: float, threads: int = 1) -> bytes:
        """See `Coder`."""
        bands = image[..., None] if image.ndim == 2 else image
        encode = self._library.encode_jpeg
        return bytes(encode(bands, int(setting), self._colours, self._sampling, fastdct=True))

    def decode(self, data: bytes, threads: int = 1) -> NDArray[np.uint8]:
        """See `Coder`."""
        decode = self._library.decode_jpeg
        return np.asarray(decode(data, self._colours, fastdct=True, fastupsample=True))


class OpenJph:
    """HTJ2K; its decoder's overflows are left as they are, which saves it time."""

    def __init__(self, grey: bool) -> None:
        self._library = library("imagecodecs")
        self.description = f"OpenJPH {self._library.htj2k_version().split()[-1]} (imagecodecs), HTJ2K, 9/7"

    def setting(self, fineness: float) -> float:
        """Quantisation steps from 2 to 0.002."""
        return float(2 * 0.001**fineness)

    def encode(self, image: NDArray[np.uint8], setting: float, threads: int = 1) -> bytes:
        """See `Coder`."""
        return bytes(self._library.htj2k_encode(image, setting, reversible=False))

    def decode(self, data: bytes, threads: int = 1) -> NDArray[np.uint8]:
        """See `Coder`."""
        return np.asarray(self._library.htj2k_decode(data))


CODERS: dict[str, Callable[[bool], Coder]] = {
    "block8": Block8Coder,
    "libjpeg": SimpleJpeg,
    "htj2k": OpenJph,
}
"""Makers by name; each is told whether the pictures are grey."""


def open_coder(name: str, grey: bool) -> Coder:
    """The coder of a name.

    Raises:
        UsageError: There is none of that name.
        FarlookError: It is not installed.
    """
    if name not in CODERS:
        raise UsageError(f"no coder is called {name!r}: choose from {', '.join(CODERS)}")
    return CODERS[name](grey)


def setting_near(coder: Coder, image: NDArray[np.uint8], size: float) -> float:
    """The setting whose file is nearest to `size` bytes."""
    low, high = 0.0, 1.0
    smallest = coder.setting(low)
    tried = {smallest: len(coder.encode(image, smallest))}
    for _ in range(_STEPS):
        middle = (low + high) / 2
        setting = coder.setting(middle)
        tried[setting] = len(coder.encode(image, setting))
        low, high = (middle, high) if tried[setting] < size else (low, middle)
    return min(tried, key=lambda setting: abs(tried[setting] - size))


def interleaved(tasks: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Seconds of every task, `repeats` of each: once all in turn, then again, so that all see the same machine.

    Each task is run once before, for what a first run allocates.
    """
    times: list[list[float]] = [[] for _ in tasks]
    for task in tasks:
        task()
    for _ in range(repeats):
        for task, seconds in zip(tasks, times, strict=True):
            start = perf_counter()
            task()
            seconds.append(perf_counter() - start)
    return times


def now() -> str:
    """The date and the time of day, UTC, to the second: "2026-01-31T23:59:59Z"."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def load_average() -> float | None:
    """Processes that ran or waited for a core, on average over the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def peak_memory(name: str, frame: Path, setting: float, stream: Path | None = None) -> int:
    """Bytes that a coder takes at most beside the frame, in a process of its own.

    Args:
        name: The coder.
        frame: The frame as a .npy file, which loads without a copy.
        setting: What to encode with.
        stream: If given, this is decoded instead; the decoded frame does not count.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak_beside, name, frame, setting, stream).result()


def _peak_beside(name: str, frame: Path, setting: float, stream: Path | None) -> int:
    corner = np.array(np.load(frame, mmap_mode="r")[:_SMALL, :_SMALL])
    coder = open_coder(name, corner.ndim == 2)
    coder.decode(coder.encode(corner, setting))  # what is allocated once, whatever the size
    image = np.load(frame)
    data = b"" if stream is None else stream.read_bytes()
    before = _new_peak()
    if stream is None:
        coder.encode(image, setting)
        return _peak() - before
    frame_bytes = coder.decode(data).nbytes
    return max(_peak() - before - frame_bytes, 0)


def _new_peak() -> int:
    """Forget what was freed again before, such as what imports took, and give what is held now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError as error:
        raise FarlookError(f"peak memory is measured on Linux only: {error}") from error
    return _peak()


def _peak() -> int:
    """This process's peak of resident memory.

    Not `ru_maxrss`, which begins with the peak of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
