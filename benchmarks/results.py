"""What `farlook bench` measured: read back, averaged, compared, and written for others to read.

codecs/NAME.json   a codec's means in CompressAI's layout: {name, description, meta, results: {bpp, psnr-rgb, ...}}
per-image.csv      every file: picture, codec, rate, setting, bytes, bits a pixel, figures of merit, speeds
bd-rate.csv        every codec against every other, by every figure of merit
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from io import StringIO
from itertools import product
from statistics import fmean, median, quantiles
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.bench import POINTS, TIMINGS, read_setup
from farlook.benchmarks.bench_setup import FORMAT, slug
from farlook.benchmarks.curves import Curve, bd_rate, overlap
from farlook.benchmarks.journal import read_journal
from farlook.runtime.errors import OutputError, UsageError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farlook.benchmarks.journal import Record

    Point = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A figure of merit.

    Attributes:
        key: What CompressAI calls it.
        label: What people call it.
        unit: "dB", or "".
        similarity: Whether it is at most 1, and compared as -10 log10(1 - value).
    """

    key: str
    label: str
    unit: str = ""
    similarity: bool = False

    def scaled(self, value: float) -> float:
        """The value on a scale where equal steps mean about as much: decibels of what lacks to 1."""
        return -10 * math.log10(max(1 - value, 1e-10)) if self.similarity else value


METRICS = (
    Metric("psnr-rgb", "PSNR of RGB", "dB"),
    Metric("psnr-luma", "PSNR of luma", "dB"),
    Metric("ms-ssim-rgb", "MS-SSIM of RGB", similarity=True),
    Metric("ms-ssim-luma", "MS-SSIM of luma", similarity=True),
    Metric("ssim-luma", "SSIM of luma", similarity=True),
    Metric("ssimulacra2", "SSIMULACRA2"),
)


@dataclass(frozen=True)
class Spread:
    """A median with the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Of some values; None if there are none."""
        if len(values) < 2:
            return cls(values[0], values[0], values[0]) if values else None
        return cls(*quantiles(values, n=4, method="inclusive"))


@dataclass(frozen=True)
class Delta:
    """The BD-rate of a codec against another.

    Attributes:
        rate: Per cent more bytes (+) or fewer (-) at equal quality: the mean over the pictures.
        pictures: How many have quality in common to compare over.
        low: The mean of where what is compared begins, in dB or the metric's own unit.
        high: Where it ends.
    """

    rate: float
    pictures: int
    low: float
    high: float


@dataclass(frozen=True)
class Timed:
    """When times were measured, and what else the machine had to do.

    Attributes:
        first: Date and time, UTC, of the first measurement.
        last: Of the last one's beginning.
        low: The lowest load average before or after a measurement; None where the system tells none.
        middle: The median.
        high: The highest.
    """

    first: str
    last: str
    low: float | None
    middle: float | None
    high: float | None


class Results:
    """A folder of results, finished.

    Attributes:
        setup: What they depend on: see `farlook.benchmarks.bench_setup`.
        points: For each codec and picture, from the smallest file to the largest.
        timings: The same, of times; empty where none were measured.
        timed: When these were measured; None where none were.
    """

    def __init__(
        self,
        setup: dict[str, Any],
        points: dict[str, dict[str, list[Point]]],
        timings: dict[str, dict[str, list[Point]]],
        timed: Timed | None = None,
    ) -> None:
        self.setup, self.points, self.timings, self.timed = setup, points, timings, timed
        self._curves: dict[tuple[str, str, bool], list[Curve]] = {}

    @cached_property
    def codecs(self) -> list[str]:
        """Their names, in the order of the setup."""
        return list(self.points)

    @cached_property
    def metrics(self) -> list[Metric]:
        """Those that every point has."""
        every = [p for pictures in self.points.values() for points in pictures.values() for p in points]
        return [metric for metric in METRICS if all(metric.key in point for point in every)]

    @property
    def pictures(self) -> list[str]:
        """Names of their files."""
        return list(self.setup["pictures"])

    @property
    def rates(self) -> list[float]:
        """Bits a pixel that were asked for."""
        return list(self.setup["rates"])

    def at(self, codec: str, rate: float) -> list[Point]:
        """A codec's points at a rate, of the pictures that reach it."""
        return [p for points in self.points[codec].values() for p in points if p["rate"] == rate]

    def means(self, codec: str) -> list[Point]:
        """Mean rate and figures at every rate that all pictures reach, in the rates' order."""
        found = [(rate, self.at(codec, rate)) for rate in self.rates]
        keys = ["bpp", *(metric.key for metric in self.metrics)]
        return [
            {"rate": rate, **{key: fmean(point[key] for point in points) for key in keys}}
            for rate, points in found
            if len(points) == len(self.pictures)
        ]

    def container(self, codec: str) -> float:
        """Mean bytes of the container of a codec's files at the rates asked for: 0 where they have none."""
        found = [p["bytes"] - p["payload_bytes"] for rate in self.rates for p in self.at(codec, rate)]
        return fmean(found) if found else 0.0

    def curves(self, codec: str, metric: Metric, *, bare: bool = False) -> list[Curve]:
        """A codec's curve of every picture; `bare`: of its files without their containers."""
        key = codec, metric.key, bare
        if key not in self._curves:
            self._curves[key] = [
                Curve.of((_bpp(point, bare=bare), metric.scaled(point[metric.key])) for point in points)
                for points in self.points[codec].values()
            ]
        return self._curves[key]

    def delta(self, tested: str, anchor: str, metric: Metric, *, bare: bool = False) -> Delta | None:
        """How much more a codec takes than another at equal quality; None where no picture can tell.

        Over the quality that `tested` has between the lowest and the highest rate and `anchor` has at all.

        Args:
            tested: A codec.
            anchor: Another.
            metric: What is equal.
            bare: Count no containers.
        """
        span = self.rates[0], self.rates[-1]
        found = []
        curves = (self.curves(codec, metric, bare=bare) for codec in (tested, anchor))
        for ours, theirs in zip(*curves, strict=True):
            rate, shared = bd_rate(ours, theirs, *span), overlap(ours, theirs, *span)
            if rate is not None and shared is not None:
                found.append((rate, *shared))
        if not found:
            return None
        rate, low, high = (fmean(column) for column in zip(*found, strict=True))
        return Delta(rate, len(found), low, high)

    def speed(self, codec: str, what: str, rate: float | None = None) -> Spread | None:
        """Megapixels a second of every run on every picture: "encode" or "decode", at a rate or at all."""
        values = [
            self._megapixels(picture) / seconds
            for picture, points in self.timings.get(codec, {}).items()
            for point in points
            if rate is None or point["rate"] == rate
            for seconds in point[f"{what}_s"]
        ]
        return Spread.of(values)

    def seconds(self, codec: str, what: str, rate: float) -> float | None:
        """Mean over the pictures of the median seconds."""
        medians = [
            spread.median
            for points in self.timings.get(codec, {}).values()
            for point in points
            if point["rate"] == rate and (spread := Spread.of(point[f"{what}_s"]))
        ]
        return fmean(medians) if medians else None

    def _megapixels(self, picture: str) -> float:
        file = self.setup["pictures"][picture]
        return float(file["width"] * file["height"] / 1e6)


def read_results(folder: Path) -> Results:
    """The results in a folder.

    Raises:
        UsageError: It holds none, or the benchmark has not come to its end.
        FarlookError: They are damaged.
    """
    setup = read_setup(folder)
    if setup is None or not setup["codecs"]:
        raise UsageError(f"{folder} holds no results: make them with farlook bench")
    if setup.get("format") != FORMAT:
        raise UsageError(f"the results in {folder} are another farlook's: measure again, in another folder")
    records = {name: read_journal(folder / name) for name in (POINTS, TIMINGS)}
    points, timings = (_by_codec(setup, found) for found in records.values())
    every = list(product(setup["codecs"], setup["pictures"]))
    lacking = sum(picture not in points[codec] for codec, picture in every)
    if setup["repeats"] and not lacking:
        lacking = sum(
            picture not in timings[codec] and any(p["rate"] in setup["rates"] for p in points[codec][picture])
            for codec, picture in every
        )
    if lacking:
        raise UsageError(
            f"the results in {folder} are not finished, {lacking} of {len(every)} measurements are missing: "
            "run the same farlook bench again"
        )
    return Results(setup, points, timings, _timed(records[TIMINGS]))


def write_results(folder: Path) -> Results:
    """Write what others read, see the module; gives the results.

    Raises:
        FarlookError: See `read_results`.
        OutputError: A file cannot be written.
    """
    results = read_results(folder)
    try:
        (folder / "codecs").mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder / 'codecs'}: {error.strerror or error}") from error
    for codec in results.codecs:
        text = json.dumps(codec_json(results, codec), indent=2)
        write_bytes(folder / "codecs" / f"{slug(codec)}.json", (text + "\n").encode())
    write_bytes(folder / "per-image.csv", _csv(_image_rows(results)))
    write_bytes(folder / "bd-rate.csv", _csv(_delta_rows(results)))
    return results


def codec_json(results: Results, codec: str) -> dict[str, Any]:
    """A codec's means as CompressAI writes them, with what they depend on as "meta".

    The lists hold only rates that every picture reaches: means over other pictures would not compare.
    """
    means = results.means(codec)
    figures = {
        name: [round(point[name], 6) for point in means]
        for name in ("bpp", *(metric.key for metric in results.metrics))
    }
    for key, what in (("encoding_time", "encode"), ("decoding_time", "decode")):
        times = [results.seconds(codec, what, point["rate"]) for point in means]
        if None not in times and times:
            figures[key] = [float(f"{seconds:.4g}") for seconds in times if seconds is not None]
    setup = results.setup
    return {
        "name": codec,
        "description": setup["codecs"][codec]["description"],
        "meta": {
            **{key: setup[key] for key in ("set", "mode", "versions", "machine")},
            "pictures": len(results.pictures),
            "rates": [point["rate"] for point in means],
            "unreached": {
                f"{rate:g}": f"{len(results.at(codec, rate))} of {len(results.pictures)} pictures"
                for rate in results.rates
                if len(results.at(codec, rate)) < len(results.pictures)
            },
            "speed": {
                f"{what}_mp_s": {"low": spread.low, "median": spread.median, "high": spread.high}
                for what in ("encode", "decode")
                if (spread := results.speed(codec, what))
            },
            "timed": asdict(results.timed) if results.timed else None,
            "container_bytes": round(results.container(codec), 1),
        },
        "results": figures,
    }


def _bpp(point: Point, *, bare: bool) -> float:
    return float(point["bpp"] * (point["payload_bytes"] / point["bytes"] if bare else 1))


def _timed(records: Sequence[Record]) -> Timed | None:
    if not records:
        return None
    dates = sorted(record["date"] for record in records)
    loads = [load for record in records for load in record["load"] if load is not None]
    spread = (min(loads), round(median(loads), 2), max(loads)) if loads else (None, None, None)
    return Timed(dates[0], dates[-1], *spread)


def _by_codec(setup: dict[str, Any], records: Sequence[Record]) -> dict[str, dict[str, list[Point]]]:
    """Points by codec and picture, in the setup's order, however they were measured."""
    found = {(r["codec"], r["picture"]): r["points"] for r in records}
    return {
        codec: {picture: found[codec, picture] for picture in setup["pictures"] if (codec, picture) in found}
        for codec in setup["codecs"]
    }


def _image_rows(results: Results) -> list[list[object]]:
    names = [metric.key for metric in results.metrics]
    header = ["picture", "codec", "rate", "setting", "bytes", "payload_bytes", "bpp", *names]
    for what in ("encode", "decode"):
        header += [f"{what}_mp_s", f"{what}_mp_s_low", f"{what}_mp_s_high"]
    rows: list[list[object]] = [list(header)]
    for codec, pictures in results.points.items():
        for picture, points in pictures.items():
            times = {point["rate"]: point for point in results.timings.get(codec, {}).get(picture, [])}
            for point in points:
                figures = [point[key] for key in ("setting", "bytes", "payload_bytes", "bpp", *names)]
                rate = "smallest" if point["rate"] is None else point["rate"]
                rows.append(
                    [picture, codec, rate, *figures, *_speeds(results, picture, times.get(point["rate"]))]
                )
    return rows


def _speeds(results: Results, picture: str, timing: Point | None) -> list[object]:
    file = results.setup["pictures"][picture]
    cells: list[object] = []
    for what in ("encode", "decode"):
        seconds = timing[f"{what}_s"] if timing else []
        spread = Spread.of([file["width"] * file["height"] / 1e6 / value for value in seconds])
        cells += [f"{v:.4g}" for v in (spread.median, spread.low, spread.high)] if spread else ["", "", ""]
    return cells


def _delta_rows(results: Results) -> list[list[object]]:
    rows: list[list[object]] = [["metric", "codec", "against", "bd_rate", "pictures", "from", "to"]]
    for metric in results.metrics:
        for tested in results.codecs:
            for anchor in results.codecs:
                delta = results.delta(tested, anchor, metric) if tested != anchor else None
                if delta is not None:
                    span = [f"{value:.2f}" for value in (delta.low, delta.high)]
                    rows.append([metric.key, tested, anchor, f"{delta.rate:.2f}", delta.pictures, *span])
    return rows


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
