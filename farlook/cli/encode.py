"""farlook encode IN OUT."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from farlook.cli.batch import work_through
from farlook.cli.options import Backend, Bpp, Budget, CodecName, Quality, Threads
from farlook.runtime.codec import DEFAULT_CODEC, Codec
from farlook.runtime.errors import ImageError, UsageError
from farlook.runtime.files import write_bytes
from farlook.runtime.images import FORMATS, read_image

SUFFIX = ".flk"

_EPILOG = """Examples:

farlook encode photo.png photo.flk --bpp 0.2

farlook encode frame.tif frame.flk --budget 6000

farlook encode pictures/ streams/ --quality 40
"""


def encode(
    source: Annotated[
        Path, typer.Argument(readable=False, metavar="IN", help="Picture, or directory of pictures.")
    ],
    target: Annotated[
        Path, typer.Argument(readable=False, metavar="OUT", help="Stream to write, or directory for streams.")
    ],
    codec: CodecName = DEFAULT_CODEC,
    quality: Quality = None,
    bpp: Bpp = None,
    budget: Budget = None,
    backend: Backend = "auto",
    threads: Threads = 0,
) -> None:
    """Compress a picture (PNG, JPEG, TIFF, WebP, BMP; grey or RGB), or every picture in a directory."""
    opened = Codec.load(codec, backend, threads)

    def work(path: Path, output: Path) -> str:
        if output.suffix.lower() in FORMATS:
            raise UsageError(f"{output} is named like a picture, but would hold a stream: name it *{SUFFIX}")
        image = read_image(path)
        start = time.perf_counter()
        stream = opened.encode(image, quality=quality, bpp=bpp, budget=budget)
        seconds = time.perf_counter() - start
        write_bytes(output, stream)
        height, width = image.shape[:2]
        rate = 8 * len(stream) / (width * height)
        return f"{path} -> {output}: {width}x{height}, {len(stream)} bytes, {rate:.3f} bpp, {1000 * seconds:.0f} ms"

    work_through(source, target, suffixes=FORMATS, new_suffix=SUFFIX, work=work, none_found=ImageError)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(encode)
