"""One codec on one picture: its files and their quality at every rate, and how long they take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from farlook.benchmarks.bench_codecs import open_spec
from farlook.benchmarks.bench_setup import crop_file, rate_bytes
from farlook.benchmarks.codecs import library
from farlook.benchmarks.metrics import MS_SSIM_SIDE, ms_ssim, psnr, similarities
from farlook.benchmarks.pictures import load, luma, pixels
from farlook.benchmarks.timing import interleaved
from farlook.runtime.errors import FarlookError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

MOST_PSNR = 100.0
"""What stands for equal pictures, whose PSNR is infinite."""


@dataclass(frozen=True)
class Job:
    """One codec on one picture.

    Attributes:
        path: The picture.
        mode: "rgb" or "luma".
        codec: See `farlook.benchmarks.bench_codecs`.
        rates: Bits a pixel, rising.
        reach: Bits a pixel beyond, of which no figure is shown: the curve's end.
        perceptual: Measure SSIMULACRA2 too.
        number: The picture's number, from 0.
        crop: Left, top, width and height of the piece to keep; None keeps none.
        crops: Folder for it.
    """

    path: Path
    mode: str
    codec: str
    rates: Sequence[float]
    reach: float
    perceptual: bool = False
    number: int = 0
    crop: Sequence[int] | None = None
    crops: Path | None = None


@dataclass(frozen=True)
class TimingJob:
    """One codec on one picture at settings that were found before: rate, setting and bytes of each."""

    path: Path
    mode: str
    codec: str
    repeats: int
    files: Sequence[tuple[float, float, int]]


def measure(job: Job) -> dict[str, Any]:
    """A codec's points on a picture: at every rate its largest file that is not larger.

    Where it has none, "unreached" lists the rates, and the smallest file it has is the curve's first point, with
    rate None. A point above all rates, at `Job.reach`, ends the curve.

    Raises:
        FarlookError: The codec fails on the picture.
    """
    codec, image = open_spec(job.codec), load(job.path, job.mode)
    try:
        rates = [*job.rates, job.reach]
        found = codec.within(image, [rate_bytes(rate, image) for rate in rates])
        files: list[tuple[float | None, tuple[float, bytes]]] = [
            (rate, file) for rate, file in zip(rates, found, strict=True) if file is not None
        ]
        if found[0] is None:
            files.insert(0, (None, codec.smallest(image)))
        points, pictures = [], {}
        for rate, (setting, data) in files:
            if setting not in pictures:
                pictures[setting] = codec.reconstruct(data, image)
            points.append({"rate": rate, **_point(job, image, pictures[setting], setting, data)})
            if rate in job.rates:
                _keep_crop(job, pictures[setting], rate)
    except FarlookError as error:
        raise FarlookError(f"{job.codec} on {job.path.name}: {error}") from error
    unreached = [rate for rate, file in zip(job.rates, found, strict=False) if file is None]
    return {"picture": job.path.name, "codec": job.codec, "unreached": unreached, "points": points}


def time_codec(job: TimingJob) -> dict[str, Any]:
    """Seconds of every encode and decode, all rates in turn, `TimingJob.repeats` times.

    Raises:
        FarlookError: A file has another size than before.
    """
    codec, image = open_spec(job.codec), load(job.path, job.mode)
    tasks: list[Callable[[], object]] = []
    for _, setting, size in job.files:
        data = codec.encode(image, setting)
        if len(data) != size:
            raise FarlookError(
                f"{job.codec} made {len(data)} bytes of {job.path.name}, and {size} at the same setting before: "
                "it cannot be compared"
            )
        tasks += [partial(codec.encode, image, setting), partial(codec.decode, data)]
    seconds = interleaved(tasks, job.repeats)
    points = [
        {"rate": rate, "encode_s": _rounded(seconds[2 * index]), "decode_s": _rounded(seconds[2 * index + 1])}
        for index, (rate, *_) in enumerate(job.files)
    ]
    return {"picture": job.path.name, "codec": job.codec, "points": points}


def qualities(original: Picture, decoded: Picture, *, perceptual: bool = False) -> dict[str, float]:
    """Every figure of merit of a reconstruction, by CompressAI's names and in their manner.

    Of RGB pictures: psnr-rgb over all samples; ms-ssim-rgb, the mean of the three bands'. Of all, of the luma:
    psnr-luma, ssim-luma, ms-ssim-luma. Pictures too small for MS-SSIM have neither it nor SSIM.
    """
    grey, grey_decoded = luma(original), luma(decoded)
    found = {"psnr-luma": psnr(grey, grey_decoded)}
    large = min(grey.shape) >= MS_SSIM_SIDE
    if large:
        found["ssim-luma"], found["ms-ssim-luma"] = similarities(grey, grey_decoded)
    if original.ndim == 3:
        found["psnr-rgb"] = psnr(original, decoded)
        if large:
            bands = [ms_ssim(original[..., band], decoded[..., band]) for band in range(3)]
            found["ms-ssim-rgb"] = sum(bands) / len(bands)
    if perceptual:
        found["ssimulacra2"] = ssimulacra2(original, decoded)
    return {name: round(min(value, MOST_PSNR), 6) for name, value in found.items()}


def ssimulacra2(original: Picture, decoded: Picture) -> float:
    """SSIMULACRA2 by the package of that name: 100 for equal pictures, 30 for low quality; may be negative.

    Raises:
        MissingExtraError: It is not installed.
    """
    compute = library("ssimulacra2").compute_ssimulacra2
    return float(compute(*(_png(picture) for picture in (original, decoded))))


def _point(job: Job, image: Picture, decoded: Picture, setting: float, data: bytes) -> dict[str, float]:
    bpp = round(8 * len(data) / pixels(image), 7)
    figures = qualities(image, decoded, perceptual=job.perceptual)
    return {"setting": setting, "bytes": len(data), "bpp": bpp, **figures}


def _keep_crop(job: Job, decoded: Picture, rate: float | None) -> None:
    if job.crop is not None and job.crops is not None:
        write_crop(job.crops / crop_file(job.number, job.codec, rate), decoded, job.crop)


def write_crop(path: Path, image: Picture, window: Sequence[int]) -> None:
    """Write a piece of a picture without loss: left, top, width and height of it."""
    left, top, width, height = window
    out = BytesIO()
    piece = Image.fromarray(np.ascontiguousarray(image[top : top + height, left : left + width]))
    piece.save(out, "WEBP", lossless=True, quality=100, method=4)
    write_bytes(path, out.getvalue())


def _png(image: Picture) -> BytesIO:
    out = BytesIO()
    Image.fromarray(image).convert("RGB").save(out, "PNG", compress_level=1)
    out.seek(0)
    return out


def _rounded(seconds: Sequence[float]) -> list[float]:
    """To six significant digits."""
    return [
        round(value, 6 - max(math.floor(math.log10(value)), -6) - 1) if value else 0.0 for value in seconds
    ]
