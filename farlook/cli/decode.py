"""farlook decode IN OUT."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from farlook.cli.batch import STDERR, is_folder, one_line, work_through
from farlook.cli.encode import SUFFIX
from farlook.cli.options import Backend, Threads
from farlook.runtime.codec import Codec
from farlook.runtime.errors import StreamError, UsageError
from farlook.runtime.files import read_pieces, read_stream_file
from farlook.runtime.images import format_of, write_image
from farlook.runtime.stream import stream_codec

_EPILOG = """Examples:

farlook decode photo.flk photo.png

farlook decode streams/ pictures/

farlook decode mine.flk mine.png --codec mine.bundle

farlook decode received.flk photo.png --lossy

farlook decode packets/ photo.png --lossy --mask concealed.png
"""

_LOSSY = "block8"


def decode(
    source: Annotated[
        Path,
        typer.Argument(
            readable=False,
            metavar="IN",
            help="Stream, or directory of streams (.flk); with --lossy, a directory of packets.",
        ),
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
    lossy: Annotated[
        bool,
        typer.Option(
            "--lossy",
            help="block8: take what is there of one picture, in any order, and fill in what is missing.",
        ),
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="With --lossy: where to draw, in white, what was filled in."),
    ] = None,
    backend: Backend = "auto",
    threads: Threads = 0,
) -> None:
    """Rebuild a picture from its stream, in the format of OUT's suffix (PNG, JPEG, TIFF, WebP, BMP)."""
    if mask is not None and not lossy:
        raise UsageError("--mask shows what --lossy filled in: give both")
    if lossy:
        STDERR.print(
            one_line(_decode_lossy(source, target, mask, Codec.load(codec or _LOSSY, backend, threads)))
        )
        return
    if is_folder(source) and source.resolve() == target.resolve():
        raise UsageError("decode into another directory: here the pictures could replace their originals")
    opened = {} if codec is None else {codec: Codec.load(codec, backend, threads)}

    def work(path: Path, output: Path) -> str:
        format_of(output)  # before the work, not after it
        stream = read_stream_file(path)
        name = codec or stream_codec(stream)
        if name not in opened:
            opened[name] = Codec.load(name, backend, threads)
        start = time.perf_counter()
        image = opened[name].decode(stream)
        seconds = time.perf_counter() - start
        write_image(output, image)
        return f"{path} -> {output}: {image.shape[1]}x{image.shape[0]}, {1000 * seconds:.0f} ms"

    work_through(source, target, suffixes=(SUFFIX,), new_suffix=".png", work=work, none_found=StreamError)


def _decode_lossy(source: Path, target: Path, mask: Path | None, codec: Codec) -> str:
    decode_with: Callable[..., Any] | None = getattr(codec, "decode_lossy", None)
    if decode_with is None:
        raise UsageError(f"the codec {codec.bundle.codec} has no --lossy: only block8's packets decode alone")
    for path in (target, *([] if mask is None else [mask])):
        format_of(path)  # before the work, not after it
    pieces = read_pieces(source)
    start = time.perf_counter()
    picture = decode_with(pieces)
    seconds = time.perf_counter() - start
    write_image(target, picture.image)
    if mask is not None:
        write_image(mask, picture.mask)
    height, width = picture.image.shape[:2]
    blocks, concealed = picture.concealed.size, int(picture.concealed.sum())
    return (
        f"{source} -> {target}: {width}x{height}, {picture.packets} packets, "
        f"{concealed} of {blocks} blocks concealed ({100 * concealed / blocks:.1f} %), {1000 * seconds:.0f} ms"
    )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(decode)
