"""farlook verify BUNDLE --images DIR."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from farlook.cli.batch import one_line, progress_bar
from farlook.cli.calibrate import BundleName, Images, Side, Synthetic, names, picture_set
from farlook.cli.options import Threads
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import CalibrationError

if TYPE_CHECKING:
    from farlook.calibration.verify import Verification

_EPILOG = """Examples:

farlook verify calibrated.bundle --images pictures/

farlook verify calibrated.bundle -i pictures/ --max-bd-rate 50

farlook verify block8-paper --synthetic --precisions fp16 --json
"""


def verify(
    bundle: BundleName,
    images: Images = None,
    synthetic: Synthetic = False,
    backends: Annotated[
        str,
        typer.Option(
            "--backends", help="What runs the networks: ort, trt, rtx and others.", metavar="NAME,NAME"
        ),
    ] = "ort",
    precisions: Annotated[
        str, typer.Option("--precisions", help="Which of the bundle's graphs.", metavar="fp32,fp16,int8")
    ] = "fp32,fp16,int8",
    limit: Annotated[
        int, typer.Option("--limit", help="At most so many pictures, spread evenly.", min=1)
    ] = 8,
    side: Side = 512,
    max_bd_rate: Annotated[
        float | None,
        typer.Option(
            "--max-bd-rate",
            help="Fail if a precision or backend costs more bits than this at equal PSNR, in per cent.",
            show_default=False,
        ),
    ] = None,
    as_is: Annotated[
        bool,
        typer.Option(
            "--as-is",
            help="ort: run FP16 graphs as onnxruntime does on a CPU, in FP32, rather than rounded as an engine does.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    threads: Threads = 0,
) -> None:
    """Say what precisions and backends change: symbols that flip, PSNR and bytes, against FP32 in ONNX Runtime."""
    from farlook.calibration.verify import check_precisions
    from farlook.calibration.verify import verify as run

    opened = find_bundle(bundle)
    chosen, wanted = names(precisions), names(backends)
    check_precisions(opened, chosen)
    pictures = list(picture_set(images, synthetic, limit, side))
    with progress_bar(len(pictures) * (1 + len(chosen) * len(wanted))) as advance:
        found = run(opened, pictures, chosen, wanted, threads=threads, exact=not as_is, advance=advance)
    if as_json:
        typer.echo(json.dumps(_plain(asdict(found))))
    else:
        _print(found, len(pictures))
    failures = found.failures(max_bd_rate)
    if failures:
        raise CalibrationError("; ".join(failures))


def _plain(value: object) -> object:
    """JSON knows no infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _print(found: Verification, pictures: int) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(f"{pictures} pictures, against {found.rows[0].backend}/{found.rows[0].precision}:")
    table = _table(
        "backend", "precision", "symbols flipped %", "BD-rate %", "std. error", "PSNR dB", "bytes %"
    )
    for row in found.rows:
        flipped = "-" if row.flipped is None else f"{row.flipped:.4f}"
        error = "-" if row.change.error is None else f"{row.change.error:.3f}"
        figures = (f"{row.change.bd_rate:+.3f}", error, f"{row.change.psnr:+.4f}", f"{row.change.rate:+.3f}")
        table.add_row(one_line(row.backend), row.precision, flipped, *figures)
    console.print(table)
    console.print("\nEvery encoder's streams with every decoder, PSNR in dB:")
    encoders = list(dict.fromkeys(cross.encoder for cross in found.crosses))
    table = _table("encoder", *("/".join(each) for each in encoders), "symbols")
    for encoder in encoders:
        row_of = [cross for cross in found.crosses if cross.encoder == encoder]
        told = {cross.identical for cross in row_of}
        same = "DIFFER" if False in told else "identical" if True in told else "-"
        table.add_row("/".join(encoder), *(f"{cross.psnr:.3f}" for cross in row_of), same)
    console.print(table)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        left = heading in ("backend", "precision", "encoder")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    return table


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(verify)
