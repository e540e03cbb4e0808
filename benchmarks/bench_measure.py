"""One codec on one picture: its files and their quality at every rate, and how long they take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from farlook.benchmarks.bench_codecs import digest, open_spec
from farlook.benchmarks.bench_setup import crop_file, rate_bytes
from farlook.benchmarks.metrics import MS_SSIM_SIDE, ms_ssim, psnr, similarities
from farlook.benchmarks.other_codecs import library
from farlook.benchmarks.pictures import load, luma, pixels
from farlook.benchmarks.timing import interleaved, load_average, now
from farlook.runtime.errors import FarlookError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from farlook.benchmarks.bench_codecs import BenchCodec

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
    """One codec on one picture, and its files as found before: rate, setting and `digest` of each."""

    path: Path
    mode: str
    codec: str
    repeats: int
    files: Sequence[tuple[float, float, str]]


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
            smallest = codec.smallest(image)
            if not files or len(smallest[1]) < len(files[0][1][1]):
                files.insert(0, (None, smallest))
        points = []
        pictures: dict[bytes, Picture] = {}  # by file: two files may have one setting
        for rate, (setting, data) in files:
            if data not in pictures:
                pictures[data] = codec.reconstruct(data, image)
            figures = qualities(image, pictures[data], perceptual=job.perceptual)
            points.append({"rate": rate, "setting": setting, **_file(codec, image, data), **figures})
            if rate in job.rates:
                _keep_crop(job, pictures[data], rate)
    except FarlookError as error:
        raise FarlookError(f"{job.codec} on {job.path.name}: {error}") from error
    unreached = [rate for rate, file in zip(job.rates, found, strict=False) if file is None]
    return {"picture": job.path.name, "codec": job.codec, "unreached": unreached, "points": points}


def time_codec(job: TimingJob) -> dict[str, Any]:
    """Seconds of every encode, then of every decode, all rates in turn, `TimingJob.repeats` times.

    Encodes are not mixed with decodes: after a network's, an encoder finds its tables gone from the caches.

    With the time of day when that began, and the machine's load average before and after.

    Raises:
        FarlookError: A file cannot be made again.
    """
    codec, image = open_spec(job.codec), load(job.path, job.mode)
    encodes: list[Callable[[], object]] = []
    decodes: list[Callable[[], object]] = []
    for rate, setting, before in job.files:
        found = codec.again(image, setting, rate_bytes(rate, image), before)
        if found is None:
            raise FarlookError(
                f"{job.codec} makes another file of {job.path.name} at {rate:g} bits a pixel than it did before, so "
                "its times would not be those of what was measured: measure it again in a new folder"
            )
        encode, data = found
        encodes.append(encode)
        decodes.append(partial(codec.decode, data))
    date, load_before = now(), load_average()
    seconds = zip(interleaved(encodes, job.repeats), interleaved(decodes, job.repeats), strict=True)
    points = [
        {"rate": rate, "encode_s": _rounded(encode_s), "decode_s": _rounded(decode_s)}
        for (rate, *_), (encode_s, decode_s) in zip(job.files, seconds, strict=True)
    ]
    loads = [load_before, load_average()]
    return {"picture": job.path.name, "codec": job.codec, "date": date, "load": loads, "points": points}


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


def _file(codec: BenchCodec, image: Picture, data: bytes) -> dict[str, Any]:
    return {
        "bytes": len(data),
        "payload_bytes": codec.payload_bytes(data),
        "sha256": digest(data),
        "bpp": round(8 * len(data) / pixels(image), 7),
    }


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
