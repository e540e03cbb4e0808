"""farlook info FILE."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from farlook.cli.batch import is_folder, one_line
from farlook.runtime.bundle import Bundle, shipped_bundles, shipped_decoders
from farlook.runtime.files import read_stream_file
from farlook.runtime.info import info as describe

_COUNTS = {
    "parameters": "parameters",
    "encoder_kMAC_per_pixel": "encoder_kmac",
    "decoder_kMAC_per_pixel": "decoder_kmac",
}
"""What training counted, and what it is called here."""

_EPILOG = """Examples:

farlook info photo.flk

farlook info photo.flk --json

farlook info mine.bundle

farlook info block8
"""


def info(
    path: Annotated[
        Path, typer.Argument(readable=False, metavar="FILE", help="Stream or bundle, or a codec's name.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a stream or a bundle holds; a stream's checksums are checked, its pixels not decoded."""
    path = _shipped(path)
    data = b"PK" if is_folder(path) else read_stream_file(path)
    fields = _bundle_fields(path) if data[:2] == b"PK" else _stream_fields(data)
    if as_json:
        typer.echo(json.dumps(fields))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in fields.items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), one_line(text))
    Console(highlight=False, markup=False, emoji=False).print(table)


def _stream_fields(data: bytes) -> dict[str, Any]:
    stream = describe(data)
    fields = {name: value for name, value in asdict(stream).items() if value is not None}
    return {**fields, "bpp": round(stream.bpp, 4)}


def _shipped(path: Path) -> Path:
    """The bundle of a codec's name, unless a file or directory has that name."""
    known = shipped_bundles() | shipped_decoders()
    return path if os.path.lexists(path) else known.get(str(path), path)


def _bundle_fields(path: Path) -> dict[str, Any]:
    bundle = Bundle.open(path)
    training = bundle.manifest.get("training", {})
    figures = training.get("figures", {}) if isinstance(training, dict) else {}
    weights = {
        name: figures[key] for name, key in _COUNTS.items() if isinstance(figures, dict) and key in figures
    }
    return {
        "codec": bundle.codec,
        "digest": bundle.digest.hex(),
        "farlook": bundle.manifest.get("farlook", ""),
        "graphs": {name: sorted(kinds) for name, kinds in bundle.graphs.items()},
        **weights,
        "training": training,
    }


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(info)
