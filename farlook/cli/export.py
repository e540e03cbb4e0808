"""farlook export CODEC -o OUT."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from farlook.cli.batch import STDERR
from farlook.runtime.errors import UsageError

_BLOCK8_EPILOG = """Examples:

farlook export block8 -o mine.bundle -w runs/mine/model.safetensors

farlook export block8 --format c -o flight/

farlook export block8 --format c -o camera/ --grey --max-width 2048

farlook export block8 --format onnx -o block8-graphs.bundle
"""

_PAPER_EPILOG = """Examples:

farlook export block8-paper -o block8-paper.bundle

farlook export block8-paper -o mine.bundle -w runs/mine/model.safetensors
"""


_NEURAL_EPILOG = """Examples:

farlook export {codec} -o mine.bundle -w runs/{codec}/model.safetensors
"""


_GROUND_EPILOG = """Examples:

farlook export block8-ground -o ground.bundle -w runs/ground/model.safetensors

farlook decode pass.flk photo.png --decoder neural:ground.bundle
"""


class Format(str, Enum):
    """What block8 can be exported as."""

    BUNDLE = "bundle"
    C = "c"
    ONNX = "onnx"


class GraphFormat(str, Enum):
    """What networks can be exported as."""

    ONNX = "onnx"


export = typer.Typer(
    name="export",
    help="Export a codec: a bundle, or C for a flight computer.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)


@export.command("block8", epilog=_BLOCK8_EPILOG)
def block8(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The bundle to write; for c a directory, new or empty.")
    ],
    format_: Annotated[
        Format,
        typer.Option(
            "--format",
            help="bundle: trained tables; c: the encoder as C99 source files; onnx: a bundle that has the "
            "transform as ONNX graphs too, for engines.",
        ),
    ] = Format.BUNDLE,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", "-w", help="bundle: model.safetensors of a training run; default: as shipped."
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="c, onnx: whose tables; default: as shipped.", metavar="BUNDLE"),
    ] = None,
    max_width: Annotated[
        int, typer.Option("--max-width", help="c: widest picture; memory grows with it.", min=1, max=16384)
    ] = 4096,
    max_mtu: Annotated[
        int, typer.Option("--max-mtu", help="c: most bytes of a packet.", min=64, max=16384)
    ] = 1024,
    rgb: Annotated[
        bool,
        typer.Option(
            "--rgb/--grey",
            help="c: RGB and grey pictures, or grey ones in less memory; onnx: graphs of which.",
        ),
    ] = True,
) -> None:
    """Write trained tables as a bundle, the encoder as C for a flight computer, or its transform as ONNX graphs."""
    if format_ is not Format.BUNDLE:
        if weights is not None:
            raise UsageError("--weights is for bundles: export one, and give it with --bundle")
        bands = 3 if rgb else 1
        if format_ is Format.C:
            _export_c(output, bundle, max_width, max_mtu, bands)
        else:
            _export_onnx(output, bundle, bands)
        return
    if bundle is not None:
        raise UsageError("--bundle is for --format c and onnx: a bundle is made of --weights")
    from farlook.models.block8_bundle import export_block8

    manifest = export_block8(output, weights)
    STDERR.print(f"wrote {output}, coding digest {manifest['coding_digest'][:8]}")


def _export_c(output: Path, bundle: Path | None, max_width: int, max_mtu: int, bands: int) -> None:
    from farlook.export.c_source import export_c

    written = export_c(output, bundle, max_width=max_width, max_mtu=max_mtu, bands=bands)
    STDERR.print(
        f"wrote {output}: tables of {written.table_bytes:,} bytes, working memory of "
        f"{written.encoder_bytes:,} bytes for widths to {max_width}"
    )


def _export_onnx(output: Path, bundle: Path | None, bands: int) -> None:
    from farlook.export.block8_onnx import export_block8_onnx

    manifest = export_block8_onnx(output, bundle, bands=bands, report=STDERR.print)
    STDERR.print(f"wrote {output}, coding digest {manifest['coding_digest'][:8]}")


@export.command("block8-paper", epilog=_PAPER_EPILOG)
def block8_paper(
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    format_: Annotated[
        GraphFormat, typer.Option("--format", help="onnx: a bundle of ONNX graphs.")
    ] = GraphFormat.ONNX,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", "-w", help="model.safetensors of a training run; default: as shipped."),
    ] = None,
    opset: Annotated[int, typer.Option("--opset", help="ONNX opset.", min=17, max=20)] = 18,
) -> None:
    """Trace the networks to ONNX, verify them against torch, and write a bundle that the runtime loads."""
    from farlook.models.block8_paper_bundle import export_block8_paper

    STDERR.print("exporting block8-paper ...")
    manifest = export_block8_paper(output, weights, opset=opset, report=STDERR.print)
    STDERR.print(f"wrote {output}, coding digest {manifest['coding_digest'][:8]}")


@export.command("block8-ground", epilog=_GROUND_EPILOG)
def block8_ground(
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
    weights: Annotated[Path, typer.Option("--weights", "-w", help="model.safetensors of a training run.")],
    licence: Annotated[
        str, typer.Option("--licence", help="What the weights may be used for; kept in the bundle.")
    ] = "not stated",
    format_: Annotated[
        GraphFormat, typer.Option("--format", help="onnx: a bundle with an ONNX graph.")
    ] = GraphFormat.ONNX,
    opset: Annotated[int, typer.Option("--opset", help="ONNX opset.", min=17, max=20)] = 18,
) -> None:
    """Trace block8's decoder for the ground to ONNX, verify it against torch, and write a bundle."""
    from farlook.models.ground_bundle import export_ground

    STDERR.print("exporting block8-ground ...")
    manifest = export_ground(output, weights, licence=licence, opset=opset, report=STDERR.print)
    STDERR.print(f"wrote {output}, coding digest {manifest['coding_digest'][:8]}")


def _add_neural(codec: str) -> None:
    """Add the command of one neural codec."""

    @export.command(codec, epilog=_NEURAL_EPILOG.format(codec=codec))
    def neural(
        output: Annotated[Path, typer.Option("--output", "-o", help="The bundle to write.")],
        weights: Annotated[
            Path, typer.Option("--weights", "-w", help="model.safetensors of a training run.")
        ],
        licence: Annotated[
            str, typer.Option("--licence", help="What the weights may be used for; kept in the bundle.")
        ] = "not stated",
        format_: Annotated[
            GraphFormat, typer.Option("--format", help="onnx: a bundle of ONNX graphs.")
        ] = GraphFormat.ONNX,
        opset: Annotated[int, typer.Option("--opset", help="ONNX opset.", min=17, max=20)] = 18,
    ) -> None:
        """Trace the networks to ONNX, verify them against torch, and write a bundle that the runtime loads."""
        from farlook.models.neural_bundle import export_neural

        STDERR.print(f"exporting {codec} ...")
        manifest = export_neural(output, weights, codec, licence=licence, opset=opset, report=STDERR.print)
        STDERR.print(f"wrote {output}, coding digest {manifest['coding_digest'][:8]}")


for _codec in ("fera", "aara", "mrdcae", "mfca"):
    _add_neural(_codec)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(export)
