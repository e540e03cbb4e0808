"""farlook encode IN OUT."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from farlook.cli.batch import STDERR, one_line, work_through
from farlook.cli.options import (
    Backend,
    Bpp,
    Budget,
    CodecName,
    Depth,
    Interleave,
    Layout,
    Mtu,
    Precision,
    Quality,
    Roi,
    Threads,
    Tune,
    Verbose,
)
from farlook.runtime.backends.base import FP32
from farlook.runtime.codec import DEFAULT_CODEC, Codec
from farlook.runtime.errors import ImageError, UsageError
from farlook.runtime.files import write_bytes, write_packets
from farlook.runtime.images import FORMATS, read_image

SUFFIX = ".flk"

_EPILOG = """Examples:

farlook encode photo.png photo.flk --bpp 0.2

farlook encode frame.tif frame.flk --budget 6000

farlook encode pictures/ streams/ --quality 40

farlook encode photo.png photo.flk --budget 900 --mtu 250

farlook encode photo.png photo.flk --bpp 0.3 --roi 40,20,32,32,8

farlook encode photo.png packets/ --packets --bpp 0.5

farlook encode photo.png photo.flk --bpp 0.1 --tune ms-ssim
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
    mtu: Mtu = None,
    layout: Layout = None,
    interleave: Interleave = None,
    roi: Roi = None,
    depth: Depth = None,
    tune: Tune = None,
    packets: Annotated[
        bool,
        typer.Option(
            "--packets", help="block8: write every packet to a file of its own, in the directory OUT."
        ),
    ] = False,
    backend: Backend = "auto",
    precision: Precision = FP32,
    threads: Threads = 0,
    verbose: Verbose = False,
) -> None:
    """Compress a picture (PNG, JPEG, TIFF, WebP, BMP; grey or RGB), or every picture in a directory."""
    given = {
        "mtu": mtu,
        "layout": layout,
        "interleave": interleave,
        "roi": [_region(text) for text in roi or ()] or None,
        "depth": depth,
        "tune": tune,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    opened = Codec.load(codec, backend, threads, precision)
    if verbose:
        say_choice(opened)
    opened.check_options(options)
    if packets and "mtu" not in opened.options:
        raise UsageError(f"the codec {opened.bundle.codec} has no --packets: only block8's decode alone")
    encode_with: Callable[..., bytes] = opened.encode

    def work(path: Path, output: Path) -> str:
        if output.suffix.lower() in FORMATS:
            raise UsageError(f"{output} is named like a picture, but would hold a stream: name it *{SUFFIX}")
        image = read_image(path, deep=opened.deep)
        start = time.perf_counter()
        stream = encode_with(image, quality=quality, bpp=bpp, budget=budget, **options)
        seconds = time.perf_counter() - start
        if packets:
            from farlook.runtime.block8.stream import split_packets

            write_packets(output, split_packets(stream, cut=False))
        else:
            write_bytes(output, stream)
        height, width = image.shape[:2]
        rate = 8 * len(stream) / (width * height)
        return f"{path} -> {output}: {width}x{height}, {len(stream)} bytes, {rate:.3f} bpp, {1000 * seconds:.0f} ms"

    new_suffix = "" if packets else SUFFIX
    work_through(source, target, suffixes=FORMATS, new_suffix=new_suffix, work=work, none_found=ImageError)


def say_choice(codec: Codec) -> None:
    """Print what runs a codec, and why."""
    reason = f" ({codec.choice})" if codec.choice else ""
    STDERR.print(one_line(f"{codec.bundle.codec} runs by {codec.backend}{reason}"))


def _region(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"--roi takes x,y,width,height or x,y,width,height,weight, not {text!r}: as in --roi 40,20,32,32"
        ) from error


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(encode)
