"""Rate and distortion of block8 beside other codecs: PSNR, MS-SSIM and BD-rate of whole files, in one run.

    python benchmarks/block8_rd.py --images ../shared/data/kodak --images ../shared/data/aerial

Writes a page, the points beside it as JSON, and a plot. Each folder is a set of pictures and is coded twice, as
luma and as RGB. Needs the [bench] extra. `--codecs jpeg,j2k,block8-paper --tested block8-paper` runs a few.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.codecs import choose, codec_list, open_codec, reconstruct
from farlook.benchmarks.curves import Curve, bd_rate
from farlook.benchmarks.metrics import ms_ssim, psnr
from farlook.benchmarks.pictures import MODES, find_pictures, load, luma, pixels
from farlook.benchmarks.program import add_processes, each, make_parser, names, run_program
from farlook.benchmarks.report import (
    average,
    beside,
    figure,
    mean,
    processor,
    relative,
    table,
    write_json,
    write_plot,
    write_text,
)
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from farlook.benchmarks.codecs import ImageCodec

DEFAULT = ("block8", "block8-whole", "jpeg", "mozjpeg", "j2k", "htj2k", "webp", "avif", "jxl")
RATES = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.50)
HIGHEST_RATE = 1.0
"""Curves end above this: JPEG needs about so much for what others do with 0.5 bits a pixel."""

_JSON_KEYS = {"setting": "setting", "bytes": "size", "bpp": "bpp", "psnr": "psnr", "ms-ssim": "ms_ssim"}

TARGETS = {
    ("kodak", "luma"): {"jpeg": (-40, -46), "htj2k": (-15, -23), "j2k": (-4, -12)},
    ("kodak", "rgb"): {"jpeg": (-47, -53), "j2k": (-3, -9)},
}
"""BD-rates in per cent that block8 is to reach, and those to try for."""

_HEAD = """# {tested}: rate and distortion

Written by

    {command}

on {processor}, all codecs in one run. Rates are bits a pixel of whole files, every header included. A picture's
figure at a rate is interpolated between that codec's own files (PCHIP over the logarithm of the rate); the mean
over the pictures is of what each reaches, with [n] where only n of them reach the rate, and then not comparable
with a mean over all. PSNR is over all samples; MS-SSIM is of the luma (Wang, Simoncelli and Bovik 2003). *luma* is
pillow's mode "L", *RGB* all three bands.

BD-rate: by how much {tested}'s files are larger (+) or smaller (-) at the same PSNR, per picture, then averaged; over
the PSNR that {tested} has at 0.05 to 0.5 bits a pixel (*low*: 0.05 to 0.15) as far as the other codec has it too.

![PSNR against rate]({plot})

{codecs}
"""


@dataclass(frozen=True)
class Job:
    """One picture to be coded by one codec at all its settings."""

    folder: str
    path: Path
    mode: str
    codec: str


@dataclass(frozen=True)
class Point:
    """One file: its setting, its size, and what it decodes to."""

    setting: float
    size: int
    bpp: float
    psnr: float
    ms_ssim: float


@dataclass(frozen=True)
class Section:
    """One set of pictures in one mode: for each codec, for each picture, its points."""

    folder: str
    mode: str
    points: Mapping[str, Mapping[str, Sequence[Point]]]

    def curves(self, codec: str, metric: str = "psnr") -> list[Curve]:
        """A codec's curve of every picture."""
        return [
            Curve.of((point.bpp, getattr(point, metric)) for point in points)
            for points in self.points[codec].values()
        ]

    def at(self, codec: str, rate: float, metric: str = "psnr") -> list[float | None]:
        """What a codec makes of every picture at a rate."""
        return [curve.at(rate) for curve in self.curves(codec, metric)]

    def bd_rates(self, tested: str, anchor: str, high: float = 0.5) -> list[float | None]:
        """BD-rate of `tested` against `anchor`, for every picture."""
        pairs = zip(self.curves(tested), self.curves(anchor), strict=True)
        return [bd_rate(ours, theirs, high=high) for ours, theirs in pairs]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


def sweep(job: Job) -> list[Point]:
    """Code a picture at a codec's settings, from the smallest files to one above `HIGHEST_RATE`."""
    codec, image = open_codec(job.codec), load(job.path, job.mode)
    points: list[Point] = []
    for setting in codec.settings:
        data = codec.encode(image, setting)
        decoded = reconstruct(codec, data, image)
        bpp = 8 * len(data) / pixels(image)
        similarity = ms_ssim(luma(image), luma(decoded))
        points.append(Point(setting, len(data), bpp, psnr(image, decoded), similarity))
        if bpp > HIGHEST_RATE:
            break
    return points


def sections(jobs: Sequence[Job], results: Sequence[Sequence[Point]]) -> list[Section]:
    """Sort the points of all jobs by set and mode, in the jobs' order."""
    sorted_points: dict[tuple[str, str], dict[str, dict[str, Sequence[Point]]]] = {}
    for job, points in zip(jobs, results, strict=True):
        codecs = sorted_points.setdefault((job.folder, job.mode), {})
        codecs.setdefault(job.codec, {})[job.path.stem] = points
    return [Section(folder, mode, codecs) for (folder, mode), codecs in sorted_points.items()]


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("block8_rd.py", __doc__ or "", "docs/measurements/block8-rd.md")
    parser.add_argument(
        "--images", type=Path, action="append", required=True, help="folder of pictures; may be repeated"
    )
    parser.add_argument(
        "--codecs", type=names, help=f"with commas between (default: those installed of {','.join(DEFAULT)})"
    )
    parser.add_argument("--tested", default="block8", help="the codec that is judged (default: %(default)s)")
    parser.add_argument("--modes", type=names, default=list(MODES), help="luma,rgb or one of them")
    parser.add_argument(
        "--plot", type=Path, default=Path("docs/images/block8-rd.svg"), help="(default: %(default)s)"
    )
    add_processes(parser)
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    chosen, left_out = choose(options.codecs, DEFAULT)
    _check(options, chosen, left_out)
    jobs = [
        Job(folder.resolve().name, path, mode, codec)
        for folder, mode in product(options.images, options.modes)
        for path, codec in product(find_pictures(folder), chosen)
    ]
    results = each(sweep, jobs, processes=options.processes, label="curves", quiet=options.quiet)
    measured = sections(jobs, results)
    codecs = [open_codec(name) for name in chosen]
    tables = [section_page(section, options.tested) for section in measured]
    head = _HEAD.format(
        tested=options.tested,
        command=command,
        processor=processor(),
        plot=relative(options.plot, options.output),
        codecs=codec_list(codecs, left_out),
    )
    write_plot(options.plot, panels(measured), ("bits a pixel", "mean PSNR, dB"))
    content = {
        "command": command,
        "processor": processor(),
        "sets": points_json(measured, codecs, options.tested),
    }
    write_json(beside(options.output, ".json"), content)
    write_text(options.output, "\n".join([head, *tables]))
    print("\n".join(tables))
    print(f"wrote {options.output}, {beside(options.output, '.json')}, {options.plot}")


def _check(options: argparse.Namespace, chosen: Sequence[str], left_out: Mapping[str, str]) -> None:
    if options.tested not in chosen:
        reason = left_out.get(options.tested, "it is not among --codecs")
        raise UsageError(f"cannot judge {options.tested}: {reason}; name another with --tested")
    if not options.modes or not set(options.modes) <= set(MODES):
        raise UsageError(f"--modes is luma, rgb or luma,rgb, not {','.join(options.modes)!r}")
    folders = [folder.resolve().name for folder in options.images]
    if len(set(folders)) < len(folders):
        raise UsageError("two folders of pictures have the same name, by which the tables would call them")
    if not options.plot.parent.is_dir():
        raise UsageError(f"there is no folder {options.plot.parent} to write {options.plot.name} in")


def section_page(section: Section, tested: str) -> str:
    """The tables of a set and mode."""
    count = len(section.points[tested])
    rates = [f"{rate:.2f}" for rate in RATES]
    qualities = [
        table([title, *rates], [_row(section, codec, metric, digits) for codec in section.points])
        for title, metric, digits in (("PSNR, dB", "psnr", 2), ("MS-SSIM", "ms_ssim", 4))
    ]
    name = {"luma": "luma", "rgb": "RGB"}[section.mode]
    parts = [f"## {section.folder}, {name}: {count} pictures", *qualities]
    if len(section.points) > 1:
        parts.append(_bd_table(section, tested))
    return "\n\n".join(parts) + "\n"


def _row(section: Section, codec: str, metric: str, digits: int) -> list[str]:
    return [codec, *(mean(section.at(codec, rate, metric), digits) for rate in RATES)]


def _bd_table(section: Section, tested: str) -> str:
    targets = TARGETS.get((section.folder, section.mode), {}) if tested == "block8" else {}
    rows = []
    for anchor in section.points:
        if anchor == tested:
            continue
        rates, low = section.bd_rates(tested, anchor), section.bd_rates(tested, anchor, high=0.15)
        cells = [anchor, mean(rates, 1, signed=True), mean(low, 1, signed=True)]
        rows.append([*cells, *(target_cells(average(rates), targets.get(anchor)) if targets else [])])
    header = [f"{tested} against", "BD-rate, %", "low, %", *(("target", "hope", "") if targets else ())]
    return table(header, rows)


def target_cells(rate: float | None, target: tuple[int, int] | None) -> list[str]:
    """A target, what was hoped for, and whether they are met."""
    if target is None:
        return ["-", "-", ""]
    met = "missed" if rate is None or rate > target[0] else "met" if rate > target[1] else "hope met"
    return [figure(target[0], 0, signed=True), figure(target[1], 0, signed=True), met]


def panels(
    measured: Sequence[Section], highest: float = 0.5
) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Mean PSNR for the plot, at rates from 0.05 to `highest` that all pictures reach."""
    steps = 1 + round(24 * math.log10(highest / 0.05))
    rates = [0.05 * 10 ** (step / 24) for step in range(steps)]

    def line(section: Section, codec: str) -> list[tuple[float, float]]:
        means = [(rate, section.at(codec, rate)) for rate in rates]
        return [
            (rate, math.fsum(v for v in values if v) / len(values)) for rate, values in means if all(values)
        ]

    return {
        f"{section.folder}, {'RGB' if section.mode == 'rgb' else 'luma'}": {
            codec: line(section, codec) for codec in section.points
        }
        for section in measured
    }


def points_json(measured: Sequence[Section], codecs: Sequence[ImageCodec], tested: str) -> dict[str, Any]:
    """All points and means, each codec's as CompressAI writes them: name, description, results."""
    sets: dict[str, Any] = {}
    for section in measured:
        sets.setdefault(section.folder, {})[section.mode] = [
            _codec_json(section, codec, tested) for codec in codecs
        ]
    return sets


def _codec_json(section: Section, codec: ImageCodec, tested: str) -> dict[str, Any]:
    def means(metric: str) -> list[float | None]:
        return [average(section.at(codec.name, rate, metric)) for rate in RATES]

    reached = [sum(value is not None for value in section.at(codec.name, rate)) for rate in RATES]
    return {
        "name": codec.name,
        "description": codec.description,
        "results": {
            "bpp": list(RATES),
            "psnr": means("psnr"),
            "ms-ssim": means("ms_ssim"),
            "pictures": reached,
        },
        f"bd-rate-of-{tested}": section.bd_rates(tested, codec.name),
        "pictures": {
            name: {key: [getattr(point, field) for point in points] for key, field in _JSON_KEYS.items()}
            for name, points in section.points[codec.name].items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
