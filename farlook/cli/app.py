"""The command's verbs, gathered."""

from __future__ import annotations

from typing import Annotated

import typer

from farlook import __version__
from farlook.cli import (
    bench,
    build,
    calibrate,
    compare,
    decode,
    doctor,
    encode,
    export,
    info,
    profile,
    report,
    sensitivity,
    train,
    verify,
)

_HELP = """Learned image compression that runs at the edge.

Start with [bold]farlook compare[/bold], which needs no picture of yours, and [bold]farlook doctor[/bold].
"""

app = typer.Typer(
    name="farlook",
    help=_HELP,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:  # typer's callback
    if show:
        typer.echo(f"farlook {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _module in (
    encode,
    decode,
    info,
    compare,
    train,
    export,
    calibrate,
    sensitivity,
    verify,
    build,
    profile,
    bench,
    report,
    doctor,
):
    _module.register(app)
