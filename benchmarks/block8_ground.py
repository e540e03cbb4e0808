"""The ground's decoder of block8 beside the linear one, on the same streams: rate, distortion, loss, time.

    python benchmarks/block8_ground.py --images ../shared/data/kodak --images ../shared/data/aerial

Writes a page, and beside it the points as JSON. Other codecs' points are read from the JSON of block8_rd.py. Needs
the [bench] and [cpu] extras. `--networks fast,mine.bundle` measures several.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farlook.benchmarks.block8_codec import split_packets
from farlook.benchmarks.block8_loss import arrivals
from farlook.benchmarks.curves import Curve, bd_rate
from farlook.benchmarks.metrics import ms_ssim, psnr
from farlook.benchmarks.pictures import MODES, find_pictures, load, luma, pixels
from farlook.benchmarks.program import add_processes, each, make_parser, names, positive, run_program
from farlook.benchmarks.report import average, beside, figure, mean, processor, table, write_json, write_text
from farlook.runtime.codec import Codec
from farlook.runtime.errors import ImageError, StreamError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.block8.codec import Block8Codec

LINEAR = "linear"
RATES = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.50)
QUALITIES = (1, *range(4, 101, 4))
HIGHEST_RATE = 0.6
LOWEST, HIGHEST = 0.05, 0.5
"""Between these rates the network must not lose on any picture."""

LOSS, LOSS_BPP = 0.10, 0.25
ANCHORS = ("jpeg", "htj2k", "j2k", "webp", "avif")
TARGETS = {
    ("luma", "j2k"): -18.0,
    ("luma", "webp"): -20.0,
    ("rgb", "j2k"): -16.0,
}
"""BD-rates in per cent that the network is to reach on the Kodak pictures."""

LOSS_TARGET = 0.5
"""Decibels that the network is to gain over linear concealment, at `LOSS`."""

_RUNS = 7

_HEAD = """# block8: the decoder for the ground

Written by

    {command}

on {processor}. One stream a quality, decoded by each decoder: whole files, every header included. PSNR is over all
samples, MS-SSIM of the luma; *luma* is pillow's mode "L", *RGB* all three bands. BD-rates are by PCHIP over the
logarithm of the rate, from 0.05 to 0.5 bits a pixel, per picture, then averaged; other codecs' points are those of
`{anchors}`, measured with `benchmarks/block8_rd.py`.
"""

_TIME = """## Time

Decoding {picture} at 0.2 bits a pixel with two threads, median of {runs}; processor time is that of all threads, and
tells less of what else the machine does:
"""


@dataclass(frozen=True)
class Job:
    """One picture in one mode, for all decoders."""

    folder: str
    path: Path
    mode: str
    networks: tuple[str, ...]
    draws: int


@dataclass(frozen=True)
class Point:
    """One stream, and what each decoder makes of it, linear first."""

    quality: int
    size: int
    bpp: float
    psnr: tuple[float, ...]
    ms_ssim: tuple[float, ...]


@dataclass(frozen=True)
class Outcome:
    """A picture's streams, and PSNR with packets lost, mean of the draws, by decoder."""

    points: list[Point]
    lossy: tuple[float, ...]

    def curve(self, decoder: int, metric: str = "psnr") -> Curve:
        """The curve of a decoder, by its index."""
        return Curve.of((point.bpp, getattr(point, metric)[decoder]) for point in self.points)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


def open_block8(threads: int = 1) -> Block8Codec:
    """block8, with its choice of decoders."""
    return cast("Block8Codec", Codec.load("block8", threads=threads))


def chosen(network: str) -> str:
    """A network's name as `Block8Codec.decode` takes it."""
    return network if network == LINEAR else f"neural:{network}"


def measure(job: Job) -> Outcome:
    """Code a picture at all qualities up to `HIGHEST_RATE`, decode it by every decoder, with and without loss."""
    codec, image = open_block8(), load(job.path, job.mode)
    decoders = [chosen(name) for name in (LINEAR, *job.networks)]
    points = []
    for quality in QUALITIES:
        stream = codec.encode(image, quality=quality)
        found = [codec.decode(stream, decoder=decoder) for decoder in decoders]
        bpp = 8 * len(stream) / pixels(image)
        ratios = tuple(psnr(image, picture) for picture in found)
        similar = tuple(ms_ssim(luma(image), luma(picture)) for picture in found)
        points.append(Point(quality, len(stream), bpp, ratios, similar))
        if bpp > HIGHEST_RATE:
            break
    return Outcome(points, _lossy(codec, image, decoders, job))


def _lossy(
    codec: Block8Codec, image: NDArray[np.uint8], decoders: Sequence[str], job: Job
) -> tuple[float, ...]:
    packets = split_packets(codec.encode(image, bpp=LOSS_BPP))
    sums = np.zeros(len(decoders))
    for draw in range(job.draws):
        kept = arrivals(len(packets), LOSS, "random", [draw, *job.path.stem.encode()])
        arrived = [packet for packet, there in zip(packets, kept, strict=True) if there]
        for index, decoder in enumerate(decoders):
            try:
                found = codec.decode_lossy(arrived, decoder=decoder).image
            except StreamError:  # no header: flat grey, as in block8_loss.py
                found = np.full(image.shape, 128, np.uint8)
            sums[index] += psnr(image, found)
    return tuple(sums / job.draws)


def decode_times(
    path: Path, networks: Sequence[str], threads: int = 2
) -> dict[tuple[str, str], tuple[float, float]]:
    """Median milliseconds of decoding one picture at 0.2 bits a pixel, by mode and decoder: wall and processor."""
    codec, found = open_block8(threads), {}
    for mode in MODES:
        image = load(path, mode)
        stream = codec.encode(image, bpp=0.2)
        for name in (LINEAR, *networks):
            wall, busy = [], []
            for _ in range(_RUNS + 1):
                start, worked = perf_counter(), process_time()
                codec.decode(stream, decoder=chosen(name))
                wall.append(perf_counter() - start)
                busy.append(process_time() - worked)
            found[mode, name] = (1000 * median(wall[1:]), 1000 * median(busy[1:]))
    return found


def anchor_curves(anchors: Mapping[str, Any], folder: str, mode: str, codec: str) -> dict[str, Curve]:
    """A codec's curve of every picture, from the points that block8_rd.py wrote; none if it has none."""
    entries = anchors.get("sets", {}).get(folder, {}).get(mode, [])
    points: dict[str, Any] = next((entry["pictures"] for entry in entries if entry["name"] == codec), {})
    return {name: Curve.of(zip(each["bpp"], each["psnr"], strict=True)) for name, each in points.items()}


def section(
    jobs: Sequence[Job], outcomes: Sequence[Outcome], anchors: Mapping[str, Any], decoders: Sequence[str]
) -> tuple[str, dict[str, dict[str, float | None]]]:
    """A set of pictures in one mode as text, and its BD-rates by decoder and codec."""
    folder, mode = jobs[0].folder, jobs[0].mode
    rows = []
    for index, name in enumerate(decoders):
        curves = [outcome.curve(index) for outcome in outcomes]
        rows.append([name, *(mean([curve.at(rate) for curve in curves]) for rate in RATES)])
    text = [f"## {folder}, {mode}", "", table(["PSNR, dB", *map(str, RATES)], rows), ""]
    rates: dict[str, dict[str, float | None]] = {}
    for index, name in enumerate(decoders):
        rates[name] = {}
        for codec in ANCHORS:
            theirs = anchor_curves(anchors, folder, mode, codec)
            pairs = [
                (outcome.curve(index), theirs[job.path.stem])
                for job, outcome in zip(jobs, outcomes, strict=True)
                if job.path.stem in theirs
            ]
            rates[name][codec] = average([bd_rate(ours, other) for ours, other in pairs])
        against = [bd_rate(outcome.curve(index), outcome.curve(0)) for outcome in outcomes]
        similar = [
            bd_rate(_decibels(outcome.curve(index, "ms_ssim")), _decibels(outcome.curve(0, "ms_ssim")))
            for outcome in outcomes
        ]
        rates[name]["block8 linear"] = average(against)
        rates[name]["the same, MS-SSIM"] = average(similar)
    columns = list(rates[LINEAR])
    lines = [
        [name, *(figure(found[key], 1, signed=True) for key in columns)] for name, found in rates.items()
    ]
    text += [table(["BD-rate, % against", *columns], lines), ""]
    text += [_gain_lines(jobs, outcomes, decoders), ""]
    return "\n".join(text), rates


def _decibels(curve: Curve) -> Curve:
    """MS-SSIM as decibels, so that curves bend as those of PSNR do."""
    return Curve(curve.log_rates, -10 * np.log10(1 - np.minimum(curve.values, 1 - 1e-9)))


def gains(outcome: Outcome, decoder: int) -> list[float]:
    """What a decoder gains over the linear one at each of a picture's streams from `LOWEST` to `HIGHEST`."""
    return [point.psnr[decoder] - point.psnr[0] for point in outcome.points if LOWEST <= point.bpp <= HIGHEST]


def _gain_lines(jobs: Sequence[Job], outcomes: Sequence[Outcome], decoders: Sequence[str]) -> str:
    rows = []
    for index, name in enumerate(decoders[1:], start=1):
        found = {job.path.stem: gains(outcome, index) for job, outcome in zip(jobs, outcomes, strict=True)}
        found = {stem: values for stem, values in found.items() if values}
        worst = min(found, key=lambda stem: min(found[stem]))
        below = sum(value < 0 for values in found.values() for value in values)
        every = [value for values in found.values() for value in values]
        lossy = average([outcome.lossy[index] - outcome.lossy[0] for outcome in outcomes])
        rows.append(
            [
                name,
                figure(average(every)),
                f"{min(found[worst]):+.2f} ({worst})",
                f"{below} of {len(every)}",
                figure(lossy),
            ]
        )
    header = ["gain over linear, dB", "mean", "least", "streams below linear", f"{LOSS:.0%} of packets lost"]
    return table(header, rows)


def verdicts(
    rates: Mapping[tuple[str, str], Mapping[str, Mapping[str, float | None]]],
    network: str,
    below: int,
    lossy: Sequence[float],
) -> str:
    """What the targets ask, and what was reached, on the Kodak pictures."""
    rows = []
    for (mode, codec), target in TARGETS.items():
        found = rates.get(("kodak", mode), {}).get(network, {}).get(codec)
        if found is not None:
            reached = "met" if found <= target else "missed"
            rows.append([f"{mode}: BD-rate against {codec}, %", figure(target, 1), figure(found, 1), reached])
    rows.append(["streams on which it is below linear", "0", str(below), "met" if not below else "missed"])
    for mode, gain in zip(MODES, lossy, strict=False):
        reached = "met" if gain >= LOSS_TARGET else "missed"
        rows.append([f"{mode}: gain with {LOSS:.0%} lost, dB", figure(LOSS_TARGET), figure(gain), reached])
    return table(["target", "asked", "found", ""], rows)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("block8_ground.py", __doc__ or "", "docs/measurements/block8-ground.md")
    parser.add_argument("--images", type=Path, action="append", required=True, help="folder of pictures")
    parser.add_argument("--networks", type=names, default=["fast"], help="sizes or bundles (default: fast)")
    parser.add_argument("--draws", type=positive, default=5, help="of lost packets (default: %(default)s)")
    parser.add_argument(
        "--anchors",
        type=Path,
        default=Path("docs/measurements/block8-rd.json"),
        help="points of other codecs (default: %(default)s)",
    )
    add_processes(parser)
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    codec = open_block8()
    for name in options.networks:
        codec.choose_decoder(chosen(name))  # or say at once that it cannot be had
    try:
        anchors = json.loads(options.anchors.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot read the points of other codecs, {options.anchors}: {error}") from error
    networks = tuple(options.networks)
    folders = {folder.resolve().name: find_pictures(folder) for folder in options.images}
    keys = list(product(folders, MODES))
    jobs = [Job(name, path, mode, networks, options.draws) for name, mode in keys for path in folders[name]]
    outcomes = each(measure, jobs, processes=options.processes, label="decoders", quiet=options.quiet)
    decoders = [LINEAR, *networks]
    texts, rates = [], {}
    for key in keys:
        picked = [index for index, job in enumerate(jobs) if (job.folder, job.mode) == key]
        ours, theirs = [jobs[index] for index in picked], [outcomes[index] for index in picked]
        text, rates[key] = section(ours, theirs, anchors, decoders)
        texts.append(text)
    page = _page(options, command, jobs, outcomes, texts, rates)
    write_json(beside(options.output, ".json"), _record(command, jobs, outcomes, decoders))
    write_text(options.output, page)
    print(page)


def _page(
    options: argparse.Namespace,
    command: str,
    jobs: Sequence[Job],
    outcomes: Sequence[Outcome],
    texts: Sequence[str],
    rates: Mapping[tuple[str, str], Mapping[str, Mapping[str, float | None]]],
) -> str:
    network = options.networks[0]
    first = jobs[0]
    times = decode_times(first.path, options.networks)
    rows = [[f"{mode}, {name}", *(f"{value:.0f}" for value in pair)] for (mode, name), pair in times.items()]
    ours = [(job, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if job.folder == first.folder]
    below = sum(gain < 0 for _, outcome in ours for gain in gains(outcome, 1))
    lossy = [
        average([outcome.lossy[1] - outcome.lossy[0] for job, outcome in ours if job.mode == mode]) or 0.0
        for mode in MODES
    ]
    parts = [
        _HEAD.format(command=command, processor=processor(), anchors=options.anchors.name),
        f"## The targets, {network} on {first.folder}\n",
        verdicts(rates, network, below, lossy),
        "",
        *texts,
        _TIME.format(picture=first.path.stem, runs=_RUNS),
        table(["ms", "decode", "processor"], rows),
    ]
    return "\n".join(parts)


def _record(
    command: str, jobs: Sequence[Job], outcomes: Sequence[Outcome], decoders: Sequence[str]
) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        pictures = sets.setdefault(job.folder, {}).setdefault(job.mode, {})
        pictures[job.path.stem] = {
            "quality": [point.quality for point in outcome.points],
            "bytes": [point.size for point in outcome.points],
            "bpp": [point.bpp for point in outcome.points],
            "psnr": {name: [point.psnr[i] for point in outcome.points] for i, name in enumerate(decoders)},
            "ms-ssim": {
                name: [point.ms_ssim[i] for point in outcome.points] for i, name in enumerate(decoders)
            },
            "lossy": dict(zip(decoders, outcome.lossy, strict=True)),
        }
    return {"command": command, "processor": processor(), "sets": sets}


if __name__ == "__main__":
    sys.exit(main())
