"""farlook decode IN OUT."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from farlook.cli.batch import is_folder, work_through
from farlook.cli.encode import SUFFIX
from farlook.cli.options import Backend, Threads
from farlook.runtime.codec import Codec
from farlook.runtime.errors import StreamError, UsageError
from farlook.runtime.files import read_stream_file
from farlook.runtime.images import format_of, write_image
from farlook.runtime.stream import read_header

_EPILOG = """Examples:

farlook decode photo.flk photo.png

farlook decode streams/ pictures/

farlook decode mine.flk mine.png --codec mine.bundle
"""


def decode(
    source: Annotated[
        Path, typer.Argument(readable=False, metavar="IN", help="Stream, or directory of streams (.flk).")
    ],
    target: Annotated[
        Path, typer.Argument(readable=False, metavar="OUT", help="Picture to write, or directory for PNGs.")
    ],
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec",
            "-c",
            metavar="NAME|BUNDLE",
            help="Bundle the stream was made with; default: as the stream says.",
        ),
    ] = None,
    backend: Backend = "auto",
    threads: Threads = 0,
) -> None:
    """Rebuild a picture from its stream, in the format of OUT's suffix (PNG, JPEG, TIFF, WebP, BMP)."""
    if is_folder(source) and source.resolve() == target.resolve():
        raise UsageError("decode into another directory: here the pictures could replace their originals")
    opened = {} if codec is None else {codec: Codec.load(codec, backend, threads)}

    def work(path: Path, output: Path) -> str:
        format_of(output)  # before the work, not after it
        stream = read_stream_file(path)
        name = codec or read_header(stream).codec
        if name not in opened:
            opened[name] = Codec.load(name, backend, threads)
        start = time.perf_counter()
        image = opened[name].decode(stream)
        seconds = time.perf_counter() - start
        write_image(output, image)
        return f"{path} -> {output}: {image.shape[1]}x{image.shape[0]}, {1000 * seconds:.0f} ms"

    work_through(source, target, suffixes=(SUFFIX,), new_suffix=".png", work=work, none_found=StreamError)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(decode)
