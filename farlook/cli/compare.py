"""farlook compare [IMAGE] -o OUT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from farlook.benchmarks.compare import compare as compare_codecs
from farlook.benchmarks.compare import draw
from farlook.benchmarks.metrics import psnr
from farlook.cli.batch import one_line
from farlook.cli.options import Backend, CodecName
from farlook.runtime.codec import DEFAULT_CODEC, Codec
from farlook.runtime.images import read_image, write_image

_SAMPLE = Path(__file__).parent.parent / "samples" / "kodim23.png"

_EPILOG = """Examples:

farlook compare

farlook compare photo.png --bpp 0.2 -o photo-compared.png
"""


def compare(
    image: Annotated[
        Path,
        typer.Argument(
            readable=False,
            metavar="IMAGE",
            help="Picture; default: one that ships with farlook.",
            show_default=False,
        ),
    ] = _SAMPLE,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to draw the comparison.")] = Path(
        "preview.png"
    ),
    bpp: Annotated[float, typer.Option("--bpp", help="Bits a pixel for both codecs.")] = 0.15,
    codec: CodecName = DEFAULT_CODEC,
    backend: Backend = "auto",
) -> None:
    """Draw a picture, its JPEG and farlook's reconstruction side by side, at the same number of bytes."""
    original = read_image(image)
    panels = compare_codecs(original, Codec.load(codec, backend), bpp)
    write_image(output, draw(original, panels))
    height, width = original.shape[:2]
    table = Table(box=None, pad_edge=False)
    for heading in ("codec", "bytes", "bpp", "PSNR dB", "encode ms", "decode ms"):
        table.add_column(heading, justify="left" if heading == "codec" else "right")
    for panel in panels[1:]:
        quality = f"{psnr(original, panel.image):.2f}"
        times = (f"{panel.encode_ms:.1f}", f"{panel.decode_ms:.1f}")
        table.add_row(panel.name, str(panel.size), f"{panel.bpp:.3f}", quality, *times)
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(one_line(f"{image.name}, {width}x{height}"))
    console.print(table)
    if len(panels) == 2:
        console.print(f"JPEG cannot make a file as small as {bpp} bpp of this picture.")
    console.print(one_line(f"wrote {output}"))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(compare)
