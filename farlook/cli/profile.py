"""farlook profile CODEC|BUNDLE."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from farlook.cli.batch import STDERR
from farlook.cli.options import Backend, Bpp, Budget, Quality, Threads
from farlook.cli.profile_tables import headline, print_profile
from farlook.runtime.backends.base import FP32
from farlook.runtime.bundle import find_bundle
from farlook.runtime.codec import DEFAULT_CODEC, Codec
from farlook.runtime.errors import MissingExtraError, UsageError
from farlook.runtime.files import check_destination, write_bytes
from farlook.runtime.images import read_image
from farlook.runtime.profile.frames import SIZES, fit, parse_size
from farlook.runtime.profile.layers import LayerTable, check_layers, measure_layers
from farlook.runtime.profile.measure import (
    DEFAULT_RUNS,
    DEFAULT_WARMUP,
    DIRECTIONS,
    Plan,
    Profile,
    measure,
)
from farlook.runtime.profile.parts import Parts, measure_parts
from farlook.runtime.profile.report import as_csv, as_json
from farlook.runtime.profile.sensors import INTERVAL

_SAMPLE = Path(__file__).parent.parent / "samples" / "kodim23.png"
_PART_RUNS = 10
_INTERRUPTED = 130

_EPILOG = """Examples:

farlook profile --size 480p

farlook profile block8 --size 720p --runs 20 --threads 1 --csv frames.csv

farlook profile mine.bundle --size 160x120 --runs 5 --layers --json p.json

farlook profile block8 --size 480p --duration 1 --idle-gap 33 --idle 1
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
    _check_outputs(codec, layers, (csv_file, json_file, plot))
    frame = _frame(image, size, grey)
    with _progress() as advance:
        measured, opened = measure(plan, frame, advance)
    parts, tables = _apart(measured, opened, frame, layers)
    prints = json_file is None or str(json_file) != "-"
    if prints:
        print_profile(measured, parts, tables)
    _write(measured, parts, tables, csv_file, json_file, plot)
    if measured.interrupted:
        raise typer.Exit(_INTERRUPTED)


def _check_outputs(codec: str, layers: bool, files: Sequence[Path | None]) -> None:
    """Refuse what cannot be told or written before the frames are measured."""
    if layers:
        check_layers(find_bundle(codec))
    for file in files:
        if file is not None and str(file) != "-":
            check_destination(file)
    if files[-1] is not None and find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "calibrate", "to draw a profile")


def _frame(image: Path | None, size: str | None, grey: bool) -> NDArray[Any]:
    picture = read_image(image or _SAMPLE)
    if grey and picture.ndim == 3:
        picture = picture[..., 1]
    if size is None and image is not None:
        return fit(picture, picture.shape[1], picture.shape[0])
    return fit(picture, *parse_size(size or "1080p"))


def _apart(
    measured: Profile, codec: Codec, frame: NDArray[Any], layers: bool
) -> tuple[Parts, list[LayerTable]]:
    """What is measured by itself, after the frames; nothing once Ctrl-C was pressed."""
    plan = measured.plan
    if measured.interrupted:
        return {}, []
    parts = measure_parts(codec, frame, plan.target, min(plan.runs or _PART_RUNS, _PART_RUNS))
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


def _write(
    measured: Profile,
    parts: Parts,
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

        write_bytes(plot, draw(measured, headline(measured)))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(profile)
