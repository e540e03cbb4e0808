"""farlook build CODEC|BUNDLE."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from farlook.cli.batch import STDERR
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from farlook.export.engine import Built
    from farlook.export.engine_progress import Report

RTX_SM = "86,89,120"

_EPILOG = """Examples:

farlook build mfca.bundle --precision fp16

farlook build block8-paper --precision fp32 --target rtx --sm 86,89,120

farlook build mfca.bundle --shapes 64x64,512x512,1280x1280 --workspace 1G
"""


class Precision(str, Enum):
    """What an engine computes in."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Target(str, Enum):
    """What an engine is for."""

    LOCAL = "local"
    RTX = "rtx"


class Level(str, Enum):
    """GPUs besides this one that an engine runs on."""

    NONE = "none"
    SAME = "same"
    AMPERE_PLUS = "ampere-plus"


def build(
    source: Annotated[str, typer.Argument(metavar="CODEC|BUNDLE", help="Codec, or path of a bundle.")],
    precision: Annotated[
        Precision, typer.Option("--precision", "-p", help="int8 needs a bundle that was calibrated.")
    ] = Precision.FP16,
    target: Annotated[
        Target,
        typer.Option(
            "--target", help="local: this machine's GPU, by TensorRT; rtx: RTX GPUs, by TensorRT for RTX."
        ),
    ] = Target.LOCAL,
    sm: Annotated[
        str | None,
        typer.Option(
            "--sm",
            help=f"rtx: compute capabilities to build for, without the point; {RTX_SM} if not given.",
            metavar="SM,...",
            show_default=False,
        ),
    ] = None,
    shapes: Annotated[
        str | None,
        typer.Option(
            "--shapes",
            help="Smallest, best and largest window of pixels that the networks are run on, rounded up to the "
            "codec's stride; from one stride to the largest that it cuts if not given.",
            metavar="MIN,OPT,MAX",
            show_default=False,
        ),
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace",
            help="Most scratch memory on the GPU: 512M, 2G; the library's own limit if not given.",
            metavar="SIZE",
            show_default=False,
        ),
    ] = None,
    optimisation: Annotated[
        int | None,
        typer.Option(
            "--opt-level",
            help="0 (quick build) to 5 (fast engine); the library's own if not given.",
            min=0,
            max=5,
            show_default=False,
        ),
    ] = None,
    version_compatible: Annotated[
        bool,
        typer.Option("--version-compatible", help="Let later versions of TensorRT run the engine; slower."),
    ] = False,
    hardware_compatible: Annotated[
        Level,
        typer.Option(
            "--hardware-compatible",
            help="local: let other GPUs run the engine: those of its compute capability, or all from Ampere on.",
        ),
    ] = Level.NONE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Directory for the engines; beside the bundle if not given. Set FARLOOK_ENGINES to it to use them.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build TensorRT engines of a bundle's networks: checked, and kept beside the bundle with a fingerprint."""
    from farlook.export.engine import build_engine, check_driver, check_gpu, peak_memory, sources_of
    from farlook.export.engine_config import Settings, parse_bytes, parse_sm
    from farlook.export.engine_shapes import default_sizes, parse_sizes, stride_of
    from farlook.runtime.backends.tensorrt.library import open_library
    from farlook.runtime.bundle import find_bundle
    from farlook.runtime.engines import engine_folder

    _check_target_options(target, sm, hardware_compatible, version_compatible)
    settings = Settings(
        workspace=None if workspace is None else parse_bytes(workspace),
        optimisation=optimisation,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible.value.replace("-", "_"),
    )
    bundle = find_bundle(source)
    sources = sources_of(bundle, precision.value)
    sizes = default_sizes(bundle) if shapes is None else parse_sizes(shapes, stride_of(bundle))
    if target is Target.LOCAL:
        check_gpu()
    library = open_library("rtx" if target is Target.RTX else "tensorrt")
    if target is Target.LOCAL:
        check_driver(library)
    else:
        settings = replace(settings, sm=parse_sm(sm or RTX_SM, library))
    folder = output or engine_folder(bundle.path, bundle.codec)
    built = []
    for graph in sources:
        with _progress(f"{bundle.codec} {graph.name} {precision.value}") as report:
            built.append(build_engine(library, bundle, graph, sizes, settings, folder, report))
    if as_json:
        typer.echo(json.dumps({"engines": [_fields(one) for one in built], "peak_memory": peak_memory()}))
        return
    _print(built, folder)
    STDERR.print(f"most memory at once: {peak_memory() / 1e6:.0f} MB")


def _check_target_options(target: Target, sm: str | None, level: Level, version_compatible: bool) -> None:
    if target is Target.LOCAL and sm is not None:
        raise UsageError("--sm is for --target rtx: an engine for this machine is for the GPU in it")
    if target is Target.RTX and level is not Level.NONE:
        raise UsageError("--hardware-compatible is for --target local: list GPUs with --sm for --target rtx")
    if target is Target.RTX and version_compatible:
        raise UsageError("--version-compatible is for --target local: TensorRT for RTX ships no lean runtime")


@contextmanager
def _progress(title: str) -> Iterator[Report]:
    """Show the phases of a build, on the error output if that is a terminal."""
    if not STDERR.is_interactive:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=STDERR, transient=True) as progress:
        progress.add_task(title, total=None)

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(f"  {escape(phase)}", total=total)
            progress.update(tasks[phase], completed=done, total=total)
            if done >= total:
                progress.remove_task(tasks.pop(phase))

        yield report


def _print(built: list[Built], folder: Path) -> None:
    from rich.console import Console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("graph", "precision", "convolutions and products", "engine's layers", "MB", "seconds"):
        table.add_column(title, justify="right" if title in ("MB", "seconds") else "left", overflow="fold")
    for one in built:
        checked = one.fingerprint.flags["checked"]
        layers = checked if one.layers is None else _counts(one.layers) or checked
        table.add_row(
            one.fingerprint.graph,
            one.fingerprint.precision,
            _counts(one.types.compute),
            layers,
            f"{one.bytes / 1e6:.1f}",
            f"{one.seconds:.1f}",
        )
    Console(highlight=False).print(table)
    first = built[0].fingerprint
    sizes = first.flags["sizes"]
    typer.echo(f"windows of {sizes['smallest']} to {sizes['largest']} pixels, best at {sizes['best']}")
    typer.echo(f"{first.library} {first.version}, for {_targets(first.sm)}; wrote {folder}")


def _targets(sm: tuple[int, ...]) -> str:
    return "compute capability " + ", ".join(f"{each // 10}.{each % 10}" for each in sm)


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))


def _fields(one: Built) -> dict[str, object]:
    return asdict(one) | {"path": str(one.path)}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(build)
