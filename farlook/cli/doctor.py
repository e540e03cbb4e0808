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
        table = Table(show_header=False, box=None, pad_edge=False)
        for _ in range(3):
            table.add_column(overflow="fold")
        for finding in findings:
            mark = "[green]ok[/green]" if finding.works else "[yellow]--[/yellow]"
            lines = [escape(finding.detail)]
            if finding.remedy:
                lines.append(f"[bold]{escape(finding.remedy)}[/bold]")
            table.add_row(mark, f"{finding.group} [bold]{escape(finding.name)}[/bold]", "\n".join(lines))
        Console(highlight=False).print(table)
    if not usable(findings):
        raise BackendError("pictures cannot be coded here: see what is missing above")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(doctor)
