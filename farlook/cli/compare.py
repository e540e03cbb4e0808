"""farlook compare [IMAGE] -o OUT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from farlook.benchmarks.compare import compare as compare_codecs
from farlook.benchmarks.compare import draw
from farlook.benchmarks.gallery import exhibit, hang, similarity
from farlook.benchmarks.metrics import psnr
from farlook.benchmarks.pictures import pixels
from farlook.cli.batch import one_line, progress_bar
from farlook.cli.options import Backend, CodecName
from farlook.runtime.codec import DEFAULT_CODEC, Codec
from farlook.runtime.errors import UsageError
from farlook.runtime.images import read_image, write_image
from farlook.runtime.rate import target_bytes

_SAMPLE = Path(__file__).parent.parent / "samples" / "kodim23.png"

_EPILOG = """Examples:

farlook compare

farlook compare photo.png --bpp 0.2 -o photo-compared.png

farlook compare photo.png --codecs block8,webp,jpeg2000 --bpp 1 -o all.png
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
    codecs: Annotated[
        str | None,
        typer.Option(
            "--codecs",
            help="Instead: these codecs, with error maps and coded maps; codecs of farlook's, paths of bundles, "
            "jpeg, jpeg2000, webp, avif.",
            metavar="NAME,NAME,...",
            show_default=False,
        ),
    ] = None,
    backend: Backend = "auto",
) -> None:
    """Draw a picture, its JPEG and farlook's reconstruction side by side, at the same number of bytes."""
    original = read_image(image)
    if codecs is not None:
        _gallery(image.name, original, codecs, bpp, backend, output)
        return
    panels = compare_codecs(original, Codec.load(codec, backend), bpp)
    write_image(output, draw(original, panels))
    table = _table("codec", "bytes", "bpp", "PSNR dB", "encode ms", "decode ms")
    for panel in panels[1:]:
        quality = f"{psnr(original, panel.image):.2f}"
        times = (f"{panel.encode_ms:.1f}", f"{panel.decode_ms:.1f}")
        table.add_row(panel.name, str(panel.size), f"{panel.bpp:.3f}", quality, *times)
    missing = [] if any(panel.name == "JPEG" for panel in panels) else ["JPEG"]
    _print(image.name, original, table, missing, bpp, output)


def _gallery(
    title: str, original: NDArray[np.uint8], codecs: str, bpp: float, backend: str, output: Path
) -> None:
    names = [name.strip() for name in codecs.split(",") if name.strip()]
    if not names:
        raise UsageError("--codecs names no codec")
    target_bytes(pixels(original), None, bpp, None, whole=False)
    exhibits, missing = [], []
    with progress_bar(len(names)) as advance:
        for name in names:
            each = exhibit(original, name, bpp, backend)
            if each is None:
                missing.append(name)
            else:
                exhibits.append(each)
            advance()
    write_image(output, hang(original, exhibits))
    table = _table("codec", "bytes", "bpp", "PSNR dB", "SSIM", "encode ms", "decode ms")
    for each in exhibits:
        quality = (f"{psnr(original, each.image):.2f}", similarity(original, each.image))
        times = (f"{each.encode_ms:.1f}", f"{each.decode_ms:.1f}")
        table.add_row(one_line(each.name), str(each.size), f"{each.bpp:.3f}", *quality, *times)
    _print(title, original, table, missing, bpp, output)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "codec" else "right")
    return table


def _print(
    title: str, original: NDArray[np.uint8], table: Table, missing: list[str], bpp: float, output: Path
) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(one_line(f"{title}, {original.shape[1]}x{original.shape[0]}"))
    console.print(table)
    for name in missing:
        console.print(one_line(f"{name} cannot make a file as small as {bpp} bpp of this picture."))
    console.print(one_line(f"wrote {output}"))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(compare)
