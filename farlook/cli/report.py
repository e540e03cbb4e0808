"""farlook report RESULTS... -o report.html."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from farlook.cli.batch import one_line
from farlook.runtime.errors import UsageError
from farlook.runtime.files import write_bytes

_EPILOG = """Examples:

farlook report results/ -o report.html

farlook report kodak/ grey/ --reference vtm.json --title Kodak -o report.html

farlook report results/ --latency profile.json --loss loss.json -o report.html

farlook report results/ --plots images/ --markdown results.md
"""


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Folders that farlook bench wrote; the first is shown first.",
            readable=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page to write.", metavar="FILE", show_default=False),
    ] = None,
    title: Annotated[
        str, typer.Option("--title", help="The page's heading.")
    ] = "farlook beside other codecs",
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference",
            help="JSON of other people's curves, in CompressAI's layout; shown on the first RGB pictures. May be "
            "given several times.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    latency: Annotated[
        list[Path] | None,
        typer.Option(
            "--latency",
            help="What farlook profile --json wrote. May be given several times.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    loss: Annotated[
        list[Path] | None,
        typer.Option(
            "--loss",
            help="What benchmarks/block8_loss.py wrote beside its page. May be given several times.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    crop_rate: Annotated[
        float, typer.Option("--crop-rate", help="Bits a pixel of the pictures shown.", metavar="BPP")
    ] = 0.15,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", help="Write PNG plots to this folder.", metavar="DIR", show_default=False),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", help="Write the tables as markdown.", metavar="FILE", show_default=False),
    ] = None,
) -> None:
    """Show what farlook bench measured: one page that needs no network, PNG plots, tables as markdown."""
    from farlook.benchmarks.page import render
    from farlook.benchmarks.page_data import Extras, read_latency, read_loss, read_references
    from farlook.benchmarks.page_markdown import markdown as tables
    from farlook.benchmarks.page_plots import write_plots
    from farlook.benchmarks.results import read_results

    if output is None and plots is None and markdown is None:
        raise UsageError("nothing to write: give -o FILE for the page, --plots DIR or --markdown FILE")
    references = {name: curve for path in reference or () for name, curve in read_references(path).items()}
    extras = Extras(references, [read_latency(p) for p in latency or ()], [read_loss(p) for p in loss or ()])
    found = [read_results(folder) for folder in results]
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if output is not None:
        page = render(title, found, results, extras, crop_rate).encode()
        write_bytes(output, page)
        console.print(one_line(f"wrote {output}, {len(page) / 1e6:.1f} MB"))
    if markdown is not None:
        write_bytes(markdown, tables(title, found, results).encode())
        console.print(one_line(f"wrote {markdown}"))
    for path in write_plots(plots, found, extras) if plots is not None else ():
        console.print(one_line(f"wrote {path}"))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(report)
