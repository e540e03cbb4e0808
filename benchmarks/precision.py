"""FP16 and INT8 against FP32: bits at equal PSNR and symbols that flip, on Kodak; memory of calibration.

    python benchmarks/precision.py --images ../shared/data/kodak --calibration ../shared/data/train

Every codec given is calibrated on pictures of `--calibration`, with `--keep-fp16 auto`, and measured on those of
`--images`. Networks run in ONNX Runtime on the CPU with FP16 roundings written out, as
`farlook.calibration.emulate` says. Writes a page and its figures as JSON. Needs the [calibrate] extra.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from farlook.benchmarks.program import make_parser, names, positive, run_program
from farlook.benchmarks.report import beside, figure, processor, relative, table, write_json, write_text
from farlook.calibration.calibrate import AUTO, Settings, calibrate
from farlook.calibration.pictures import PictureSet
from farlook.calibration.precision import PRECISIONS
from farlook.calibration.verify import Verification, verify
from farlook.runtime.backends.base import FP32
from farlook.runtime.bundle import BLOCK8_LAYOUT, Bundle, find_bundle, shipped_bundles, shipped_decoders

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

TARGETS = {"fp16": 0.1, "int8": 2.0}
"""BD-rate in per cent that each precision may cost."""
MEMORY_COUNTS = (16, 500)
MEMORY_SIDE = 256


@dataclass(frozen=True)
class Result:
    """One codec.

    Attributes:
        codec: Its name; of a decoder for the ground, the bundle's.
        digest: First bytes of the bundle's coding digest.
        kept: Groups left in FP16, by network, of how many.
        groups: Groups of each network.
        calibrated_on: Pictures that ranges were measured on, without those held out.
        judged: What the budget was measured on: the notes' `bd_rate`, `bd_rate_error` and `judged_on`.
        found: See `Verification`.
        seconds: What calibration and measurement took.
    """

    codec: str
    digest: str
    kept: dict[str, list[str]]
    groups: dict[str, int]
    calibrated_on: int
    judged: dict[str, Any]
    found: Verification
    seconds: tuple[float, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code."""
    parser = make_parser("precision.py", __doc__ or "", "docs/measurements/precision.md")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures to measure on")
    parser.add_argument("--calibration", type=Path, required=True, help="folder of pictures to calibrate on")
    parser.add_argument(
        "--codecs",
        type=names,
        help="names or bundles (default: all shipped ones with networks, decoders too)",
    )
    parser.add_argument("--limit", type=positive, default=24, help="pictures to measure on (default: 24)")
    parser.add_argument("--side", type=positive, default=320, help="middle of them, in pixels (default: 320)")
    parser.add_argument(
        "--calibrate-on",
        type=positive,
        default=24,
        help="pictures to calibrate on, those held out for the budget included (default: 24)",
    )
    parser.add_argument(
        "--budget", type=float, default=1.0, help="BD-rate of INT8 on those held out, %% (default: 1)"
    )
    parser.add_argument(
        "--memory-codec", default="block8-paper", help="whose calibration to weigh; none: skip"
    )
    parser.add_argument("--threads", type=positive, default=1, help="threads of a network run (default: 1)")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    return run_program(parser, _run, arguments)


def _run(options: Namespace, command: str) -> None:
    if options.probe is not None:
        print(_probe(options))
        return
    memory = {} if options.memory_codec == "none" else _memory(options)
    results = [_measure(name, options) for name in options.codecs or _with_networks()]
    _write(results, memory, options, command)


def _with_networks() -> list[str]:
    codecs = [name for name, path in shipped_bundles().items() if Bundle.open(path).layout != BLOCK8_LAYOUT]
    return codecs + list(shipped_decoders())


def _measure(name: str, options: Namespace) -> Result:
    bundle = find_bundle(name)
    label = name if name in shipped_decoders() else bundle.codec
    print(f"{label}: calibrating", file=sys.stderr)
    settings = replace(_settings(options), keep=(AUTO,))
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "calibrated.bundle"
        pictures = PictureSet(options.calibration, options.calibrate_on)
        notes = calibrate(bundle, path, pictures, settings, lambda text: print(f"  {text}", file=sys.stderr))
        middle = time.perf_counter()
        print(f"{label}: measuring", file=sys.stderr)
        tested = list(PictureSet(options.images, options.limit, options.side))
        found = verify(Bundle.open(path), tested, PRECISIONS, threads=options.threads)
    end = time.perf_counter()
    networks = notes["networks"]
    return Result(
        label,
        bundle.digest[:4].hex(),
        {key: each["kept_fp16"] for key, each in networks.items()},
        {key: len(each["kept_fp16"]) + len(each["quantised"]) for key, each in networks.items()},
        notes["pictures"]["used"],
        {key: notes[key] for key in ("bd_rate", "bd_rate_error", "judged_on")},
        found,
        (middle - start, end - middle),
    )


def _settings(options: Namespace) -> Settings:
    return Settings(budget=options.budget, threads=options.threads)


def _memory(options: Namespace) -> dict[str, tuple[float, float]]:
    """Peaks of resident memory, see `_probe`, for few and many pictures, each in a process of its own."""
    found = {}
    for count in MEMORY_COUNTS:
        print(f"weighing the calibration of {options.memory_codec} on {count} pictures", file=sys.stderr)
        command = [sys.executable, str(Path(__file__).resolve()), "--probe", options.memory_codec]
        command += ["--images", str(options.images), "--calibration", str(options.calibration)]
        command += ["--calibrate-on", str(count), "--threads", str(options.threads)]
        command += ["--side", str(MEMORY_SIDE), "--output", str(options.output)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # ourselves
        used, reading, peak = done.stdout.split()
        found[used] = (float(reading), float(peak))
    return found


def _probe(options: Namespace) -> str:
    """Read pictures, then calibrate on them: how many there were, and the peaks of both in MiB."""
    pictures = PictureSet(options.calibration, options.calibrate_on, options.side)
    for _ in pictures:
        pass
    reading, count = _peak(), pictures.used
    with TemporaryDirectory() as folder:
        calibrate(find_bundle(options.probe), Path(folder) / "probe.bundle", pictures, _settings(options))
    return f"{count} {reading:.1f} {_peak():.1f}"


def _peak() -> float:
    """The largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _write(
    results: list[Result], memory: dict[str, tuple[float, float]], options: Namespace, command: str
) -> None:
    data = beside(options.output, ".json")
    write_json(
        data,
        {
            "command": command,
            "processor": processor(),
            "targets": TARGETS,
            "memory_codec": options.memory_codec,
            "memory": memory,
            "results": [asdict(result) for result in results],
        },
    )
    parts = [
        _INTRODUCTION.format(
            limit=options.limit,
            side=options.side,
            count=options.calibrate_on,
            budget=options.budget,
            command=command,
            data=relative(data, options.output),
            processor=processor(),
            threads=options.threads,
        ),
        _costs(results),
        _kept(results),
        _decoders(results),
    ]
    if memory:
        parts.append(_weights(memory, options.memory_codec))
    write_text(options.output, "\n\n".join(parts))


def _costs(results: list[Result]) -> str:
    header = (
        "codec",
        "precision",
        "BD-rate %",
        "+-",
        "target",
        "held",
        "PSNR dB",
        "bytes %",
        "symbols flipped %",
    )
    rows = []
    for result in results:
        for row in result.found.rows:
            if row.precision == FP32:
                continue
            target = TARGETS[row.precision]
            held = "yes" if row.change.bd_rate <= target else "no"
            figures = [
                figure(value, digits, signed=True)
                for value, digits in ((row.change.psnr, 4), (row.change.rate, 3))
            ]
            rows.append(
                (
                    result.codec,
                    row.precision,
                    figure(row.change.bd_rate, 3, signed=True),
                    _or_none(row.change.error, 3),
                    f"<= {target}",
                    held,
                    *figures,
                    _or_none(row.flipped, 3),
                )
            )
    return "## What FP16 and INT8 cost against FP32\n\n" + table(header, rows)


def _kept(results: list[Result]) -> str:
    header = ("codec", "network", "groups in INT8", "left in FP16")
    rows = [
        (
            result.codec,
            name,
            f"{result.groups[name] - len(kept)} of {result.groups[name]}",
            ", ".join(kept) or "none",
        )
        for result in results
        for name, kept in result.kept.items()
    ]
    notes = [
        f"{result.codec}: ranges of {result.calibrated_on} pictures; INT8's BD-rate {_judged(result.judged)}; "
        f"calibration took {result.seconds[0]:.0f} s, measurement {result.seconds[1]:.0f} s."
        for result in results
    ]
    text = "\n".join(f"- {note}" for note in notes)
    return f"## What `--keep-fp16 auto` chose\n\n{table(header, rows)}\n\n{text}"


def _judged(judged: dict[str, Any]) -> str:
    """The BD-rate that the budget was compared with, and what it was measured on."""
    error, on = judged["bd_rate_error"], judged["judged_on"]
    doubt = "" if error is None else f" +- {error:.2f}"
    kind = "held out" if on["held_out"] else "of those, too"
    return f"{judged['bd_rate']:+.2f}{doubt} % on {on['pictures']} {kind}"


def _same(found: list[bool | None]) -> str:
    """Whether decoders read the same symbols; "-" if the codec tells none."""
    if False in found:
        return "differ"
    return "-" if None in found else "identical"


def _or_none(value: float | None, digits: int) -> str:
    return "-" if value is None else figure(value, digits)


def _decoders(results: list[Result]) -> str:
    header = ("codec", "encoder", *(f"{precision} decoder" for precision in PRECISIONS), "symbols")
    rows = []
    for result in results:
        for encoder in PRECISIONS:
            line = [c for c in result.found.crosses if c.encoder[1] == encoder]
            values = {c.decoder[1]: figure(c.psnr, 3) for c in line}
            same = _same([c.identical for c in line])
            rows.append((result.codec, encoder, *(values[each] for each in PRECISIONS), same))
    return (
        "## Any encoder with any decoder\n\nPSNR in dB of the first two pictures, over all qualities. *Symbols* are "
        f'what the decoders read from a stream before a network runs; "-": no network encodes.\n\n{table(header, rows)}'
    )


def _weights(memory: dict[str, tuple[float, float]], codec: str) -> str:
    rows = [(count, figure(peaks[0], 1), figure(peaks[1], 1)) for count, peaks in memory.items()]
    header = ("pictures", "reading alone", "calibration")
    return (
        f"## Memory of calibration\n\nPeak resident memory in MiB of `farlook calibrate {codec}`, each in a process "
        f"of its own; pictures are cut to {MEMORY_SIDE} pixels. *Reading alone* is the peak of opening the same files "
        f"before it: it grows with the largest file.\n\n{table(header, rows)}"
    )


_INTRODUCTION = """# FP16 and INT8 against FP32

{limit} pictures, the middle {side}x{side} pixels of each, at four qualities (10, 35, 65, 90), RGB. BD-rate is against
the same codec in FP32; +- is its standard error over the pictures. INT8 is the mixed graph that
`farlook calibrate --keep-fp16 auto --budget {budget}` finds on {count} other pictures, some of which it holds out to
measure the budget on: what is not in INT8 is in FP16. *Symbols flipped* is the share of quantised latents that differ
from those of the FP32 encoder; a decoder for the ground has none ("-"), as block8's C core encodes.

    {command}

Figures: [{data}]({data}). {processor}, {threads} thread of it, no GPU: networks ran in ONNX Runtime on the CPU with
every rounding to FP16 written out and products added up in FP32
([why](../decisions/012-own-fp16-pass.md)). An engine may add up in another order; `farlook verify --backends trt`
measures it where there is one."""


if __name__ == "__main__":
    sys.exit(main())
