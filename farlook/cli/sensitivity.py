"""farlook sensitivity BUNDLE --images DIR."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from farlook.cli.batch import STDERR, one_line, progress_bar
from farlook.cli.calibrate import BundleName, Images, Synthetic, picture_set
from farlook.cli.options import Threads
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import UsageError
from farlook.runtime.files import check_destination, write_bytes

if TYPE_CHECKING:
    from farlook.calibration.sensitivity import Cost

_EPILOG = """Examples:

farlook sensitivity mine.bundle --images pictures/

farlook sensitivity mine.bundle -i pictures/ --json s.json --plot s.png
"""


def sensitivity(
    bundle: BundleName,
    images: Images = None,
    synthetic: Synthetic = False,
    network: Annotated[
        str | None,
        typer.Option("--network", help="Only this one: analysis or synthesis.", show_default=False),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="As in calibrate.", metavar="absmax|percentile|entropy|mse")
    ] = "mse",
    limit: Annotated[
        int, typer.Option("--limit", help="At most so many pictures, spread evenly.", min=1)
    ] = 4,
    side: Annotated[
        int,
        typer.Option("--side", help="Use the middle of larger pictures: so many pixels.", min=32, max=2048),
    ] = 256,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the ranks as JSON.", metavar="FILE")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw the ranks: PNG, SVG or PDF.", metavar="FILE")
    ] = None,
    threads: Threads = 0,
) -> None:
    """Quantise one group of nodes at a time to INT8, and rank them by what each costs in bits and PSNR."""
    from farlook.calibration.calibrate import open_meter
    from farlook.calibration.networks import measure_ranges, open_networks
    from farlook.calibration.sensitivity import rank

    opened = find_bundle(bundle)
    networks = open_networks(opened)
    if network is not None and network not in networks:
        raise UsageError(f"{opened.path} has no network {network!r}, only {', '.join(networks)}")
    pictures = picture_set(images, synthetic, limit, side)
    _check_outputs(json_file, plot)
    with progress_bar(len(pictures)) as advance:
        measure_ranges(opened, networks, pictures, method, threads=threads, advance=advance)
    chosen = list(networks) if network is None else [network]
    with progress_bar(sum(len(networks[name].groups) for name in chosen)) as advance:
        meter = open_meter(opened, list(pictures), threads)
        costs = rank(meter, networks, chosen, threads, advance)
    _print(costs)
    if json_file is not None:
        write_bytes(json_file, _as_json(costs, str(opened.path), pictures.describe(), method))
        STDERR.print(one_line(f"wrote {json_file}"))
    if plot is not None:
        from farlook.calibration.plot import draw_costs

        draw_costs(costs, plot, f"{opened.codec}: what INT8 costs, one group at a time")
        STDERR.print(one_line(f"wrote {plot}"))


def _check_outputs(json_file: Path | None, plot: Path | None) -> None:
    """Refuse files that cannot be written before minutes of measuring."""
    if json_file is not None:
        check_destination(json_file)
    if plot is not None:
        from farlook.calibration.plot import check_plot

        check_plot(plot)


def _print(costs: list[Cost]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("rank", "network", "node", "op", "weights", "BD-rate %", "PSNR dB", "bytes %"):
        table.add_column(
            heading, justify="left" if heading in ("network", "node", "op") else "right", no_wrap=True
        )
    for number, cost in enumerate(costs, 1):
        figures = (f"{cost.change.bd_rate:+.3f}", f"{cost.change.psnr:+.4f}", f"{cost.change.rate:+.3f}")
        table.add_row(
            str(number),
            cost.network,
            one_line(cost.node),
            cost.op,
            f"{cost.weights:,}" if cost.weights else "-",
            *figures,
        )
    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(table)


def _as_json(costs: list[Cost], path: str, pictures: dict[str, object], method: str) -> bytes:
    ranks = [asdict(cost) for cost in costs]
    for each in ranks:
        if not math.isfinite(each["change"]["bd_rate"]):
            each["change"]["bd_rate"] = None  # JSON knows no infinity
    found = {"bundle": path, "method": method, "pictures": pictures, "costs": ranks}
    return json.dumps(found, indent=1).encode() + b"\n"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(sensitivity)
