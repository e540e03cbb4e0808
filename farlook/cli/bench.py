"""farlook bench DIR -o RESULTS."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from farlook.cli.batch import STDERR, one_line
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from farlook.benchmarks.results import Delta, Metric, Results

_CODECS = "farlook:block8:neural?,farlook:block8,jpeg,jpeg2000,htj2k?,webp:m6,webp:m6:half,avif:s6?,jxl:e7?"
_RATES = "0.05,0.1,0.15,0.2,0.25,0.3,0.5"
_BUSY = 0.5
_WIDEST = 1000
"""Letters that a line of the table may have: a codec's name is not cut to fit a terminal."""

_EPILOG = """Examples:

farlook bench pictures/ -o results/

farlook bench pictures/ -c farlook:block8,jpeg2000 --rates 0.15,0.3 -o few/

farlook bench pictures/ -c farlook:block8,jpeg,mozjpeg? --grey -o grey/
"""


def bench(
    pictures: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of pictures.", readable=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of results, new or to be continued.")
    ],
    codec: Annotated[
        str,
        typer.Option(
            "--codec",
            "-c",
            help="farlook:CODEC, farlook:CODEC:OPTION=VALUE, either with :DECODER, jpeg, mozjpeg, jpeg2000, htj2k, "
            "webp:m0 to m6, avif:s0 to s10, jxl:e1 to e9; with :half at half resolution; with ? left out where it "
            "is not installed.",
            metavar="NAME,NAME,...",
        ),
    ] = _CODECS,
    rates: Annotated[
        str, typer.Option("--rates", help="Bits a pixel, not exceeded.", metavar="BPP,BPP,...")
    ] = _RATES,
    grey: Annotated[bool, typer.Option("--grey", help="Code the pictures' luma instead of RGB.")] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", help="Processes; times are measured by one, alone.", min=1)
    ] = 1,
    repeats: Annotated[
        int, typer.Option("--repeats", help="Of every encode and decode; 0 measures no times.", min=0)
    ] = 5,
    perceptual: Annotated[
        bool, typer.Option("--ssimulacra2", help="Measure SSIMULACRA2 too; needs the package of that name.")
    ] = False,
    crops: Annotated[
        int, typer.Option("--crops", help="Pictures to keep pieces of, for the report.", min=0)
    ] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as CompressAI writes it.")] = False,
) -> None:
    """Measure rate, distortion and speed of codecs over a folder of pictures; run again to go on."""
    from farlook.benchmarks.bench import run_bench
    from farlook.benchmarks.bench_codecs import choose_specs
    from farlook.benchmarks.bench_setup import Plan, check_rates
    from farlook.benchmarks.pictures import find_pictures
    from farlook.benchmarks.results import write_results
    from farlook.models.progress import progress_bars

    found = find_pictures(pictures)
    chosen, left_out = choose_specs(_parts(codec, "--codec"))
    for name, reason in left_out.items():
        STDERR.print(one_line(f"{name} is left out: {reason}"))
    plan = Plan(
        pictures,
        found,
        chosen,
        check_rates(_numbers(rates)),
        grey,
        repeats,
        perceptual,
        min(crops, len(found)),
    )
    _say_if_busy(repeats)
    with progress_bars(STDERR.is_interactive) as report:
        run_bench(plan, output, jobs, report)
    _print(write_results(output), output, as_json)


def _parts(text: str, option: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError(f"{option} names nothing")
    return parts


def _numbers(text: str) -> list[float]:
    parts = _parts(text, "--rates")
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise UsageError(f"--rates takes numbers with commas between, not {text!r}") from error


def _say_if_busy(repeats: int) -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if repeats and load > _BUSY:
        STDERR.print(f"the machine is busy (load {load:.1f}): times will be longer than they should be")


def _print(results: Results, output: Path, as_json: bool) -> None:
    import json

    from farlook.benchmarks.results import codec_json

    if as_json:
        typer.echo(json.dumps([codec_json(results, codec) for codec in results.codecs]))
        return
    metric = results.metrics[0]
    table = Table(box=None, pad_edge=False)
    rates = [f"{rate:g}" for rate in results.rates]
    for heading in (f"{metric.label}, {metric.unit} at", *rates, "BD-rate %", "encode MP/s", "decode MP/s"):
        table.add_column(heading, justify="left" if "at" in heading else "right")
    for codec in results.codecs:
        table.add_row(one_line(codec), *_cells(results, codec, metric))
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    width = console.measure(table, options=console.options.update(width=_WIDEST)).maximum
    console.width = max(width, console.width)
    console.print(table)
    console.print(one_line(f"BD-rate: against {results.codecs[0]}; wrote {output}"))


def _cells(results: Results, codec: str, metric: Metric) -> list[str]:
    means = {point["rate"]: f"{point[metric.key]:.2f}" for point in results.means(codec)}
    delta = results.delta(codec, results.codecs[0], metric) if codec != results.codecs[0] else None
    speeds = [results.speed(codec, what) for what in ("encode", "decode")]
    return [
        *(means.get(rate, "-") for rate in results.rates),
        _delta(delta, len(results.pictures)),
        *(f"{speed.median:.3g}" if speed else "-" for speed in speeds),
    ]


def _delta(delta: Delta | None, pictures: int) -> str:
    if delta is None:
        return "-"
    return f"{delta.rate:+.1f}" + ("" if delta.pictures == pictures else f" [{delta.pictures}]")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(bench)
