"""farlook profile CODEC|BUNDLE."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from farlook.cli.batch import STDERR, one_line
from farlook.cli.options import Backend, Bpp, Budget, Quality, Threads
from farlook.runtime.backends.base import FP32
from farlook.runtime.codec import DEFAULT_CODEC, Codec
from farlook.runtime.errors import UsageError
from farlook.runtime.files import write_bytes
from farlook.runtime.images import read_image
from farlook.runtime.profile.frames import SIZES, fit, parse_size
from farlook.runtime.profile.layers import LayerTable, measure_layers
from farlook.runtime.profile.measure import (
    DEFAULT_RUNS,
    DEFAULT_WARMUP,
    DIRECTIONS,
    Phase,
    Plan,
    Profile,
    measure,
)
from farlook.runtime.profile.parts import encoder_parts
from farlook.runtime.profile.report import (
    as_csv,
    as_json,
    energies,
    remarks,
    stage_rows,
    state,
    throughput,
)
from farlook.runtime.profile.sensors import INTERVAL
from farlook.runtime.profile.statistics import Statistics

_SAMPLE = Path(__file__).parent.parent / "samples" / "kodim23.png"
_MOST_LAYERS = 20
_PART_RUNS = 10
_FILE_WIDTH = 160
_INTERRUPTED = 130

_EPILOG = """Examples:

farlook profile

farlook profile block8 --size 4k --threads 1 --runs 200 --plot profile.png

farlook profile mine.bundle --size 720p --runs 20 --layers --json profile.json

farlook profile block8 --size 1080p --duration 60 --idle-gap 33 --idle 5 --csv frames.csv
"""


def profile(
    codec: Annotated[
        str, typer.Argument(metavar="CODEC|BUNDLE", help="Codec, or path of a bundle.")
    ] = DEFAULT_CODEC,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            "-s",
            metavar="NAME|WxH",
            help=f"Size of a frame: {', '.join(SIZES)}, or pixels as in 1920x1080; default: 1080p, or that of --image.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            "-i",
            readable=False,
            metavar="FILE",
            help="Picture to code; default: one that ships with farlook. Cut, or continued by its mirror image, to "
            "--size.",
            show_default=False,
        ),
    ] = None,
    grey: Annotated[
        bool, typer.Option("--grey", help="Code the picture's green band alone, as grey.")
    ] = False,
    backend: Backend = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="Which of the bundle's networks: fp32, fp16 or int8.")
    ] = FP32,
    threads: Threads = 0,
    quality: Quality = None,
    bpp: Bpp = None,
    budget: Budget = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="encode|decode", help="One direction alone.", show_default=False),
    ] = None,
    warmup: Annotated[
        int, typer.Option("--warmup", help="Frames in each direction before the measured ones.", min=0)
    ] = DEFAULT_WARMUP,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs",
            "-n",
            help=f"Frames to measure in each direction; {DEFAULT_RUNS} if no duration is given.",
            min=1,
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", help="Instead of --runs: how long in each direction."),
    ] = None,
    idle_gap: Annotated[
        float, typer.Option("--idle-gap", metavar="MS", help="Sleep before every frame, as a camera would.")
    ] = 0.0,
    idle: Annotated[
        float,
        typer.Option(
            "--idle", metavar="SECONDS", help="First look at the idle power for so long, to subtract it."
        ),
    ] = 0.0,
    sensors: Annotated[
        bool,
        typer.Option(
            "--sensors/--no-sensors",
            help="Poll power, clocks, temperatures and throttling beside the frames.",
        ),
    ] = True,
    layers: Annotated[bool, typer.Option("--layers", help="Time each layer of the networks, too.")] = False,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", readable=False, metavar="FILE", help="Write every frame's times.", show_default=False
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            readable=False,
            metavar="FILE",
            help="Write everything; - prints it instead.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", readable=False, metavar="FILE", help="Draw it as a PNG.", show_default=False),
    ] = None,
) -> None:
    """Measure where the time goes: every stage of every frame, memory, power and clocks. No outlier is dropped.

    Encodes frames one by one, then decodes them. Ctrl-C prints what was measured until then.
    """
    given = {"quality": quality, "bpp": bpp, "budget": budget}
    target = {name: value for name, value in given.items() if value is not None}
    if len(target) > 1:
        raise UsageError("give one of --quality, --bpp and --budget, not several")
    plan = Plan(
        codec,
        backend=backend,
        precision=precision,
        threads=threads,
        target=target,
        directions=DIRECTIONS if only is None else (only,),
        warmup=warmup,
        runs=DEFAULT_RUNS if runs is None and duration is None else runs,
        duration=duration,
        idle_gap=idle_gap / 1e3,
        idle=idle,
        interval=INTERVAL if sensors else 0.0,
    )
    plan.check()
    frame = _frame(image, size, grey)
    with _progress() as advance:
        measured, opened = measure(plan, frame, advance)
    parts, tables = _apart(measured, opened, frame, layers)
    prints = json_file is None or str(json_file) != "-"
    if prints:
        _print(measured, parts, tables)
    _write(measured, parts, tables, csv_file, json_file, plot)
    if measured.interrupted:
        raise typer.Exit(_INTERRUPTED)


def _frame(image: Path | None, size: str | None, grey: bool) -> NDArray[Any]:
    picture = read_image(image or _SAMPLE)
    if grey and picture.ndim == 3:
        picture = picture[..., 1]
    if size is None and image is not None:
        return fit(picture, picture.shape[1], picture.shape[0])
    return fit(picture, *parse_size(size or "1080p"))


def _apart(
    measured: Profile, codec: Codec, frame: NDArray[Any], layers: bool
) -> tuple[dict[str, list[float]], list[LayerTable]]:
    """What is measured by itself, after the frames; nothing once Ctrl-C was pressed."""
    plan = measured.plan
    if measured.interrupted:
        return {}, []
    parts: dict[str, list[float]] = {}
    if "encode" in plan.directions:
        parts = encoder_parts(codec, frame, plan.target, min(plan.runs or _PART_RUNS, _PART_RUNS))
    if not layers:
        return parts, []
    return parts, measure_layers(codec, frame, plan.target, precision=plan.precision, threads=plan.threads)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, float], None] | None]:
    """A bar on the error output, if that is a terminal."""
    if not STDERR.is_interactive:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=STDERR, transient=True) as bar:
        task = bar.add_task("loading", total=1.0)

        def advance(direction: str, frames: int, share: float) -> None:
            text = f"{direction}, {frames} frames" if frames else f"{direction}, warm-up"
            bar.update(task, completed=share, description=text)

        yield advance


def _print(measured: Profile, parts: dict[str, list[float]], tables: Sequence[LayerTable]) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:  # a file is as wide as its tables
        console.width = _FILE_WIDTH
    console.print(_headline(measured))
    for line in _machine_lines(measured):
        console.print(one_line(line))
    for phase in measured.measured:
        console.print()
        _print_phase(console, measured, phase)
        if phase.direction == "encode" and parts:
            _print_parts(console, parts)
    console.print()
    console.print(_memory_line(measured))
    for layer_table in tables:
        console.print()
        _print_layers(console, layer_table)
    for remark in remarks(measured):
        console.print(one_line(f"note: {remark}"))


def _headline(measured: Profile) -> str:
    plan = measured.plan
    precision = "" if measured.backend == "native" else f" ({plan.precision})"
    bands = "grey" if len(measured.shape) == 2 else "RGB"
    target = ", ".join(f"{name} {value}" for name, value in plan.target.items()) or "quality 50"
    threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}" if plan.threads else "all cores"
    return one_line(
        f"{measured.bundle['codec']}{precision} on {measured.backend}, "
        f"{measured.shape[1]}x{measured.shape[0]} {bands}, {target}, {threads}"
    )


def _machine_lines(measured: Profile) -> list[str]:
    machine = measured.machine
    first = [machine.get("board"), machine.get("cpu"), f"{machine.get('cores')} cores"]
    if "jetson_linux" in machine:
        first.append(f"Jetson Linux {machine['jetson_linux']}")
    if "power_mode" in machine:
        first.append(f"power mode {machine['power_mode']}")
    if "governor" in machine:
        first.append(f"governor {', '.join(machine['governor'])}")
    if "gpu" in machine:
        first.append(f"{machine['gpu'].get('name')}, driver {machine['gpu'].get('driver')}")
    return [", ".join(str(part) for part in first if part), *([measured.choice] if measured.choice else [])]


def _print_phase(console: Console, measured: Profile, phase: Phase) -> None:
    rows = stage_rows(phase)
    whole = next(iter(rows.values())).mean
    table = _table(f"{phase.direction}, ms", "mean", "share", "p50", "p90", "p95", "p99", "max", "jitter")
    for name, row in rows.items():
        table.add_row(name, _ms(row.mean), f"{100 * row.mean / whole:.1f} %", *_tail(row))
    console.print(table)
    rates = throughput(measured, phase)
    console.print(
        f"{len(phase.frames)} frames, {rates['frames_per_s']:.2f} frames/s, {rates['megapixels_per_s']:.2f} MP/s, "
        f"{rates['cores_busy']:.2f} cores busy, {rates['bytes']:.0f} bytes, {rates['bits_per_pixel']:.3f} bpp"
        + (f"; the first call took {1e3 * phase.cold:.1f} ms" if phase.cold is not None else "")
    )
    for energy in energies(measured, phase):
        text = f"{energy.name}: {energy.watts:.2f} W, {1e3 * energy.joules_per_frame:.1f} mJ a frame"
        if energy.above_idle_per_frame is not None:
            text += f", {1e3 * energy.above_idle_per_frame:.1f} mJ above {energy.idle_watts:.2f} W idle"
        console.print(one_line(f"{text} ({energy.source})"))
    for row_state in state(phase.courses):
        if "median" in row_state:
            console.print(
                one_line(
                    f"{row_state['name']}: {row_state['least']:.0f} to {row_state['most']:.0f} {row_state['unit']}"
                )
            )


def _print_parts(console: Console, parts: dict[str, list[float]]) -> None:
    table = _table("its parts alone, ms", "mean", "", "p50", "p90", "p95", "p99", "max", "jitter")
    for name, times in parts.items():
        row = Statistics.of([1e3 * time for time in times])
        table.add_row(name, _ms(row.mean), "", *_tail(row))
    console.print(table)
    console.print(
        "(transform: colours too; entropy coder: quantisation too. Run one after the other, through memory, "
        "which the call above does not: they do not add up to it.)"
    )


def _tail(row: Statistics) -> tuple[str, ...]:
    return tuple(map(_ms, (row.p50, row.p90, row.p95, row.p99, row.maximum, row.jitter)))


def _ms(value: float) -> str:
    """Milliseconds in few letters, so that nine columns fit a terminal of 80."""
    return f"{value:.3f}" if value < 10 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def _memory_line(measured: Profile) -> str:
    memory = measured.memory
    texts = [
        f"{memory['before'] / 1e6:.1f} MB before the codec was opened, {memory['after'] / 1e6:.1f} after"
    ]
    when = "of" if measured.peak_is_since_reset else "by the end of"
    texts += [
        f"peak {when} {phase.direction}: {phase.peak_bytes / 1e6:.1f} MB "
        f"(+{(phase.peak_bytes - memory['before']) / 1e6:.1f})"
        for phase in measured.measured
        if phase.peak_bytes is not None
    ]
    if "device" in memory:
        texts.append(f"on the GPU {memory['device'] / 1e6:.1f} MB")
    if "device_growth" in memory:
        texts.append(f"in use on the GPU {memory['device_growth'] / 1e6:+.1f} MB, all programs")
    return f"memory: {'; '.join(texts)}; opened in {1e3 * measured.load_seconds:.0f} ms"


def _print_layers(console: Console, layers: LayerTable) -> None:
    whole = layers.sum_seconds or 1.0
    kinds = _table(f"{layers.network}, by operator", "layers", "ms a frame", "share")
    for kind, count, seconds in layers.by_kind():
        kinds.add_row(one_line(kind), str(count), _ms(1e3 * seconds), f"{100 * seconds / whole:.1f} %")
    console.print(kinds)
    table = _table(f"{layers.network}, slowest layers", "operator", "calls", "ms a frame", "share", "by")
    for layer in layers.layers[:_MOST_LAYERS]:
        times = (f"{layer.calls:g}", _ms(1e3 * layer.seconds), f"{100 * layer.seconds / whole:.1f} %")
        table.add_row(one_line(layer.name), one_line(layer.kind), *times, one_line(layer.detail))
    console.print(table)
    left = len(layers.layers) - _MOST_LAYERS
    console.print(
        f"{len(layers.layers)} layers, {1e3 * layers.sum_seconds:.2f} ms a frame"
        + (f" of {1e3 * layers.run_seconds:.2f} ms for the network" if layers.run_seconds else "")
        + f", by {layers.how}, {layers.runs} runs of {layers.windows} windows"
        + (f"; {left} faster ones are in --json" if left > 0 else "")
        + (f"; {layers.note}" if layers.note else "")
    )


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _write(
    measured: Profile,
    parts: dict[str, list[float]],
    tables: Sequence[LayerTable],
    csv_file: Path | None,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    if csv_file is not None:
        write_bytes(csv_file, as_csv(measured).encode())
    if json_file is not None:
        text = json.dumps(as_json(measured, parts, tables), indent=1)
        if str(json_file) == "-":
            typer.echo(text)
        else:
            write_bytes(json_file, text.encode())
    if plot is not None:
        from farlook.runtime.profile.plot import draw

        write_bytes(plot, draw(measured, _headline(measured)))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(profile)
