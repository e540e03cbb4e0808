"""farlook export CODEC -o OUT."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from farlook.cli.batch import STDERR

_EPILOG = """Examples:

farlook export block8-paper -o block8-paper.bundle

farlook export block8-paper -o mine.bundle -w runs/mine/model.safetensors
"""


class Exportable(str, Enum):
    """Codecs whose networks can be exported."""

    BLOCK8_PAPER = "block8-paper"


def export(
    codec: Annotated[Exportable, typer.Argument(metavar="CODEC", help="Which codec: block8-paper.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", "-w", help="model.safetensors of a training run; default: as shipped."),
    ] = None,
    opset: Annotated[int, typer.Option("--opset", help="ONNX opset.", min=17, max=20)] = 18,
) -> None:
    """Trace a trained codec to ONNX, verify it against torch, and write a bundle that the runtime loads."""
    from farlook.models.block8_paper_bundle import export_block8_paper

    STDERR.print(f"exporting {codec.value} ...")
    manifest = export_block8_paper(output, weights, opset=opset, report=STDERR.print)
    STDERR.print(f"wrote {output}, coding digest {manifest['coding_digest'][:8]}")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(export)
