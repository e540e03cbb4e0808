"""What block8 and other codecs spend before they say anything: a flat picture, and thumbnails of a few hundred bytes.

    python benchmarks/block8_overhead.py --images ../shared/data/kodak

Needs the [bench] extra. `--codecs jpeg,j2k,webp` leaves the others out.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from farlook.benchmarks.codecs import choose, codec_list, open_codec, reconstruct
from farlook.benchmarks.metrics import psnr
from farlook.benchmarks.pictures import find_pictures, load, thumbnail
from farlook.benchmarks.program import add_processes, each, make_parser, names, run_program
from farlook.benchmarks.report import mean, processor, table, write_text
from farlook.runtime.codec import Codec
from farlook.runtime.errors import TargetError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.benchmarks.codecs import ImageCodec

DEFAULT = ("block8", "jpeg", "mozjpeg", "j2k", "htj2k", "webp", "avif", "jxl")
OURS = ("block8", "block8-paper")
FLAT_SIDE, SIDE = 512, 128
LEVELS = (128, 100)
BUDGETS = (150, 200, 300, 400)
FLAT_TARGET = 32

FINE = {
    "jpeg": range(1, 101),
    "mozjpeg": range(1, 101),
    "j2k": np.geomspace(0.02, 0.5, 120).tolist(),
    "htj2k": np.geomspace(2, 0.1, 60).tolist(),
    "webp": range(101),
    "avif": range(61),
    "jxl": np.arange(25, 3, -0.5).tolist(),
}
"""Settings for the best file within a budget: all there are, or close together."""

_HEAD = """# block8: overhead

Written by

    {command}

on {processor}. Bytes are of whole files.

{codecs}

## A flat grey picture

{flat} x {flat} pixels of one level: the bytes of each codec's smallest file that decodes to it, give or take one level.
block8 is to take at most {target}.

{table}

## Thumbnails

{side} x {side} pixels, grey: of the luma of each picture of {folder} ({pictures}) the largest square around the centre,
reduced by a Lanczos filter (pillow's). Mean PSNR in dB of the best file of at most so many bytes: farlook's by its
`budget`, the others' by trying all settings, or 40 to 120 of them where there is no end of them; [n] where only n
thumbnails fit, a dash where none does. *smallest*: mean bytes and PSNR of each codec's smallest file.

{thumbnails}
"""


@dataclass(frozen=True)
class Job:
    """One picture's thumbnail, to be coded by one codec."""

    path: Path
    codec: str


@dataclass(frozen=True)
class Thumbnail:
    """PSNR within each budget, and the smallest file's bytes and PSNR."""

    within: tuple[float | None, ...]
    smallest: int
    worst: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


def flat_bytes(codec: ImageCodec, level: int) -> int | None:
    """The bytes of the smallest file that decodes to a flat picture, give or take one level."""
    flat = np.full((FLAT_SIDE, FLAT_SIDE), level, np.uint8)
    sizes = []
    for setting in codec.settings:
        data = codec.encode(flat, setting)
        if np.abs(reconstruct(codec, data, flat).astype(int) - level).max() <= 1:
            sizes.append(len(data))
    return min(sizes, default=None)


def squeeze(job: Job) -> Thumbnail:
    """Code a picture's thumbnail within every budget."""
    image = thumbnail(load(job.path, "luma"), SIDE)
    return _by_budget(image, job.codec) if job.codec in OURS else _by_trying(image, open_codec(job.codec))


def _by_budget(image: NDArray[np.uint8], name: str) -> Thumbnail:
    codec = Codec.load(name, threads=1)
    within: list[float | None] = []
    for budget in BUDGETS:
        try:
            within.append(psnr(image, codec.decode(codec.encode(image, budget=budget))))
        except TargetError:
            within.append(None)
    smallest = codec.encode(image, quality=1)
    return Thumbnail(tuple(within), len(smallest), psnr(image, codec.decode(smallest)))


def _by_trying(image: NDArray[np.uint8], codec: ImageCodec) -> Thumbnail:
    files = [codec.encode(image, setting) for setting in FINE[codec.name]]
    small = [data for data in files if len(data) <= max(BUDGETS)] or [min(files, key=len)]
    found = [(len(data), psnr(image, reconstruct(codec, data, image))) for data in small]
    within = [max((quality for size, quality in found if size <= budget), default=None) for budget in BUDGETS]
    return Thumbnail(tuple(within), *min(found))


def thumbnail_table(results: dict[str, list[Thumbnail]]) -> str:
    """Mean PSNR within each budget, for each codec."""
    rows = []
    for name, found in results.items():
        within = [mean([one.within[index] for one in found]) for index in range(len(BUDGETS))]
        smallest = (mean([float(one.smallest) for one in found], 0), mean([one.worst for one in found]))
        rows.append([name, *within, *smallest])
    header = ["PSNR, dB", *(f"{budget} bytes" for budget in BUDGETS), "smallest, bytes", "its PSNR"]
    return table(header, rows)


def flat_table(names_: Sequence[str]) -> str:
    """Bytes of flat pictures, for each codec."""
    rows = []
    for name in names_:
        sizes = [flat_bytes(open_codec(name), level) for level in LEVELS]
        rows.append([name, *("-" if size is None else str(size) for size in sizes)])
    return table(["bytes", *(f"level {level}" for level in LEVELS)], rows)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("block8_overhead.py", __doc__ or "", "docs/measurements/block8-overhead.md")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures for the thumbnails")
    parser.add_argument(
        "--codecs", type=names, help=f"with commas between (default: those installed of {','.join(DEFAULT)})"
    )
    add_processes(parser)
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    chosen, left_out = choose(options.codecs, DEFAULT)
    pictures = find_pictures(options.images)
    jobs = [Job(path, name) for name in chosen for path in pictures]
    found = each(squeeze, jobs, processes=options.processes, label="thumbnails", quiet=options.quiet)
    count = len(pictures)
    results = {name: found[index * count : (index + 1) * count] for index, name in enumerate(chosen)}
    flat, thumbnails = flat_table(chosen), thumbnail_table(results)
    page = _HEAD.format(
        command=command,
        processor=processor(),
        codecs=codec_list([open_codec(name) for name in chosen], left_out),
        flat=FLAT_SIDE,
        target=FLAT_TARGET,
        table=flat,
        side=SIDE,
        folder=options.images.resolve().name,
        pictures=count,
        thumbnails=thumbnails,
    )
    write_text(options.output, page)
    print(f"{flat}\n\n{thumbnails}\nwrote {options.output}")


if __name__ == "__main__":
    sys.exit(main())
