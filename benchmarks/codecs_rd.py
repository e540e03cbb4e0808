"""The neural codecs beside JPEG, JPEG 2000 and WebP: RGB rate and distortion of whole files, times, claims.

    python benchmarks/codecs_rd.py --images ../shared/data/kodak --images ../shared/data/aerial

Writes a page, the points beside it as JSON, and a plot. Each folder is a set of pictures. Needs the [bench] extra.
`--ours mfca,fera` measures some of the codecs.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.block8_rd import HIGHEST_RATE, Job, Point, Section, panels, sections
from farlook.benchmarks.claims import CLAIMS
from farlook.benchmarks.codecs import Neural, choose, codec_list, open_codec, reconstruct
from farlook.benchmarks.curves import Curve, bd_rate
from farlook.benchmarks.metrics import ms_ssim, psnr
from farlook.benchmarks.pictures import find_pictures, load, luma, pixels
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

    from farlook.benchmarks.claims import Claim
    from farlook.benchmarks.codecs import ImageCodec

OURS = ("fera", "aara", "mrdcae", "mfca")
ANCHORS = ("jpeg", "j2k", "webp")
RATES = (0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)
LOW, HIGH = 0.1, 1.0
TARGET = -25
"""BD-rate against optimised JPEG that each is to reach on Kodak, per cent."""
REFERENCES = {"bmshj2018-hyperprior-mse": "hyperprior (Balle 2018)", "vtm": "VTM"}

_HEAD = """# The neural codecs: rate, distortion, time

Written by

    {command}

on {processor}, all codecs in one run. Rates are bits a pixel of whole files, every header and checksum included;
PSNR is over all RGB samples, MS-SSIM is of the luma. A picture's figure at a rate is interpolated between that codec's
own files (PCHIP over the logarithm of the rate); means are over the pictures, with [n] where only n of them reach the
rate. BD-rate is over the PSNR that the codec has from {low} to {high} bits a pixel, as far as the anchor has it too:
per picture, then averaged; negative means smaller files. Times are the processor's: medians of one encode at a given
quality, and of one decode, on one thread.

![PSNR against rate]({plot})

{codecs}
"""


@dataclass(frozen=True)
class TimedPoint(Point):
    """A file, and how long it took.

    Attributes:
        encode_ms: Milliseconds of the processor to encode.
        decode_ms: Milliseconds of the processor to decode.
    """

    encode_ms: float
    decode_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


def sweep(job: Job) -> list[TimedPoint]:
    """Code a picture at a codec's settings, from the smallest files to one above 1 bit a pixel."""
    codec, image = open_codec(job.codec), load(job.path, job.mode)
    points: list[TimedPoint] = []
    for setting in codec.settings:
        start = time.process_time()
        data = codec.encode(image, setting)
        middle = time.process_time()
        decoded = reconstruct(codec, data, image)
        end = time.process_time()
        bpp = 8 * len(data) / pixels(image)
        similarity = ms_ssim(luma(image), luma(decoded))
        times = (1000 * (middle - start), 1000 * (end - middle))
        points.append(TimedPoint(setting, len(data), bpp, psnr(image, decoded), similarity, *times))
        if bpp > HIGHEST_RATE:
            break
    return points


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("codecs_rd.py", __doc__ or "", "docs/measurements/codecs.md")
    parser.add_argument(
        "--images", type=Path, action="append", required=True, help="folder of pictures; may be repeated"
    )
    parser.add_argument(
        "--ours", type=names, help=f"codecs that are judged (default: those of {','.join(OURS)})"
    )
    parser.add_argument("--anchors", type=names, default=list(ANCHORS), help="(default: %(default)s)")
    parser.add_argument(
        "--reference", type=Path, help="JSON with published curves on Kodak, {codec: [{bpp, psnr}]}"
    )
    parser.add_argument(
        "--plot", type=Path, default=Path("docs/images/codecs-rd.svg"), help="(default: %(default)s)"
    )
    add_processes(parser)
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    ours, left_out = choose(options.ours, OURS)
    anchors, _ = choose(options.anchors, ANCHORS)
    if not ours:
        raise UsageError("none of the neural codecs is installed: name bundles with --ours")
    if not options.plot.parent.is_dir():
        raise UsageError(f"there is no folder {options.plot.parent} to write {options.plot.name} in")
    references = _references(options.reference)
    jobs = [
        Job(folder.resolve().name, path, "rgb", codec)
        for folder in options.images
        for path, codec in product(find_pictures(folder), [*ours, *anchors])
    ]
    results = each(sweep, jobs, processes=options.processes, label="curves", quiet=options.quiet)
    measured = sections(jobs, results)
    codecs = [open_codec(name) for name in (*ours, *anchors)]
    head = _HEAD.format(
        command=command, processor=processor(), low=LOW, high=HIGH,
        plot=relative(options.plot, options.output), codecs=codec_list(codecs, left_out),
    )  # fmt: skip
    parts = [head, networks_table(codecs)]
    parts += [section_page(section, ours, anchors, references) for section in measured]
    write_plot(options.plot, panels(measured, HIGH), ("bits a pixel", "mean PSNR, dB"))
    content = {"command": command, "processor": processor(), "sets": points_json(measured, codecs, anchors)}
    write_json(beside(options.output, ".json"), content)
    write_text(options.output, "\n\n".join(parts))
    print("\n\n".join(parts[1:]))
    print(f"wrote {options.output}, {beside(options.output, '.json')}, {options.plot}")


def _references(path: Path | None) -> dict[str, Curve]:
    """The published curves that claims and results are held against."""
    if path is None:
        return {}
    try:
        published = json.loads(path.read_text(encoding="utf-8"))
        return {
            key: Curve.of((point["bpp"], point["psnr"]) for point in published[key]) for key in REFERENCES
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read curves from {path}: {error!r}") from error


def networks_table(codecs: Sequence[ImageCodec]) -> str:
    """Parameters and multiply-adds of our codecs."""
    header = ["codec", "parameters, million", "encoder kMAC/pixel", "decoder kMAC/pixel", "training steps"]
    rows = []
    for codec in codecs:
        if isinstance(codec, Neural):
            counts = codec.counts
            million = None if "parameters" not in counts else counts["parameters"] / 1e6
            kmac = [figure(counts.get(key)) for key in ("encoder_kmac", "decoder_kmac")]
            rows.append([codec.name, figure(million), *kmac, figure(counts.get("steps"), 0)])
    return table(header, rows)


def section_page(
    section: Section, ours: Sequence[str], anchors: Sequence[str], references: Mapping[str, Curve]
) -> str:
    """The tables of a set of pictures."""
    kodak = section.folder == "kodak"
    count = len(section.points[ours[0]])
    rates = [f"{rate:.2f}" for rate in RATES]
    parts = [f"## {section.folder}, RGB: {count} pictures"]
    for title, metric, digits in (("PSNR, dB", "psnr", 2), ("MS-SSIM", "ms_ssim", 4)):
        rows = [
            [codec, *(mean(section.at(codec, rate, metric), digits) for rate in RATES)]
            for codec in section.points
        ]
        if kodak and metric == "psnr":
            rows += [
                [f"{REFERENCES[key]}, published", *(figure(curve.at(rate)) for rate in RATES)]
                for key, curve in references.items()
            ]
        parts.append(table([title, *rates], rows))
    parts.append(_bd_table(section, ours, anchors, references if kodak else {}))
    parts.append(_times_table(section))
    if kodak and any(claim.codec in ours for claim in CLAIMS):
        parts.append(_claims_table(section, ours, references))
    return "\n\n".join(parts)


def bd_rates(section: Section, ours: str, anchor: str) -> list[float | None]:
    """BD-rate against an anchor, for every picture."""
    pairs = zip(section.curves(ours), section.curves(anchor), strict=True)
    return [bd_rate(mine, theirs, low=LOW, high=HIGH) for mine, theirs in pairs]


def mean_curve(section: Section, codec: str) -> Curve:
    """The curve of mean PSNR over the pictures, at the rates that all of them reach."""
    rates = [0.05 * 1.15**step for step in range(24)]
    reached = [(rate, section.at(codec, rate)) for rate in rates]
    return Curve.of(
        (rate, sum(v for v in values if v) / len(values)) for rate, values in reached if None not in values
    )


def _bd_table(
    section: Section, ours: Sequence[str], anchors: Sequence[str], references: Mapping[str, Curve]
) -> str:
    header = ["BD-rate, %", *(f"against {anchor}" for anchor in anchors)]
    header += [f"against {REFERENCES[key]}, published" for key in references]
    judged = "jpeg" in anchors and section.folder == "kodak"
    rows = []
    for codec in ours:
        rates = {anchor: bd_rates(section, codec, anchor) for anchor in anchors}
        line = mean_curve(section, codec)
        row = [codec, *(mean(rates[anchor], 1, signed=True) for anchor in anchors)]
        row += [figure(bd_rate(line, curve, LOW, HIGH), 1, signed=True) for curve in references.values()]
        if judged:
            reached = average(rates["jpeg"])
            row.append("met" if reached is not None and reached <= TARGET else "missed")
        rows.append(row)
    return table([*header, *([f"target {TARGET} against jpeg"] if judged else [])], rows)


def _times_table(section: Section) -> str:
    rows = []
    for codec, pictures in section.points.items():
        points = [point for points in pictures.values() for point in points if isinstance(point, TimedPoint)]
        megapixels = sum(8 * point.size / point.bpp for point in points) / len(points) / 1e6
        times = [_median([getattr(point, key) for point in points]) for key in ("encode_ms", "decode_ms")]
        rows.append(
            [codec, *(figure(one, 0) for one in times), *(figure(one / megapixels, 0) for one in times)]
        )
    return table(["time", "encode, ms", "decode, ms", "encode, ms/MP", "decode, ms/MP"], rows)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _claims_table(section: Section, ours: Sequence[str], references: Mapping[str, Curve]) -> str:
    header = ["claim", "picture", "bpp", "paper, dB", "ours, dB", "VTM's mean, dB", "", "the paper also says"]
    rows = []
    for claim in CLAIMS:
        if claim.codec in ours:
            beyond = references["vtm"].at(claim.bpp) if "vtm" in references else None
            mark = "beyond VTM" if beyond is not None and claim.psnr > beyond else ""
            cells = [figure(claim.bpp), figure(claim.psnr), figure(_reached(section, claim)), figure(beyond)]
            rows.append([claim.codec, claim.picture or "mean", *cells, mark, claim.note])
    text = (
        "Claims of the papers at their points. VTM's figure is its mean over the 24 pictures (published), so that "
        "a single easy picture may lie above it."
    )
    return f"{text}\n\n{table(header, rows)}"


def _reached(section: Section, claim: Claim) -> float | None:
    if not claim.picture:
        return average(section.at(claim.codec, claim.bpp))
    points = section.points[claim.codec].get(claim.picture)
    return None if points is None else Curve.of((point.bpp, point.psnr) for point in points).at(claim.bpp)


def points_json(
    measured: Sequence[Section], codecs: Sequence[ImageCodec], anchors: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """All points and means, each codec's as CompressAI writes them: name, description, results."""
    return {
        section.folder: [
            {
                "name": codec.name,
                "description": codec.description,
                "results": {
                    "bpp": list(RATES),
                    "psnr-rgb": [average(section.at(codec.name, rate)) for rate in RATES],
                    "ms-ssim-luma": [average(section.at(codec.name, rate, "ms_ssim")) for rate in RATES],
                },
                "bd-rate": {
                    anchor: average(bd_rates(section, codec.name, anchor))
                    for anchor in anchors
                    if anchor != codec.name
                },
                "pictures": {
                    name: [asdict(point) for point in points]
                    for name, points in section.points[codec.name].items()
                },
            }
            for codec in codecs
        ]
        for section in measured
    }


if __name__ == "__main__":
    sys.exit(main())
