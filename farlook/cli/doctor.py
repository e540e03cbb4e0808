"""farlook doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farlook.runtime.doctor import examine, usable
from farlook.runtime.errors import BackendError
from farlook.runtime.finding import Finding

_EPILOG = """Examples:

farlook doctor

farlook doctor --json
"""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what works here: a real inference on every backend, every extra, and what to install for the rest."""
    findings = examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _print(findings)
    if not usable(findings):
        raise BackendError("pictures cannot be coded here: see what is missing above")


def _print(findings: list[Finding]) -> None:
    """A row for each finding; what installs what is missing is on one line, however long, to be copied."""
    console = Console(highlight=False)
    width = max(len(f"{finding.group} {finding.name}") for finding in findings)
    for finding in findings:
        table = Table(show_header=False, box=None, pad_edge=False)
        for columns in (2, width, None):
            table.add_column(width=columns, overflow="fold")
        mark = "[green]ok[/green]" if finding.works else "[yellow]--[/yellow]"
        name = f"{finding.group} [bold]{escape(finding.name)}[/bold]"
        table.add_row(mark, name, escape(finding.detail))
        console.print(table)
        if finding.remedy:
            console.print(f"    [bold]{escape(finding.remedy)}[/bold]", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(doctor)
