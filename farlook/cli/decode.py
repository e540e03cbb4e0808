"""farlook decode IN OUT."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from farlook.cli.batch import STDERR, is_folder, one_line, work_through
from farlook.cli.encode import SUFFIX, say_choice
from farlook.cli.options import Backend, Decoder, Precision, Threads, Verbose
from farlook.runtime.backends.base import FP32
from farlook.runtime.bundle import BLOCK8_LAYOUT, find_bundle
from farlook.runtime.codec import Codec
from farlook.runtime.errors import StreamError, UsageError
from farlook.runtime.files import read_pieces, read_stream_file
from farlook.runtime.images import format_of, write_image
from farlook.runtime.stream import stream_codec

if TYPE_CHECKING:
    from farlook.runtime.block8.choice import DecoderChoice

_EPILOG = """Examples:

farlook decode photo.flk photo.png

farlook decode streams/ pictures/

farlook decode mine.flk mine.png --codec mine.bundle

farlook decode pass.flk photo.png --decoder linear

farlook decode pass.flk photo.png --decoder neural

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
    decoder: Decoder = "auto",
    backend: Backend = "auto",
    precision: Precision = FP32,
    threads: Threads = 0,
    verbose: Verbose = False,
) -> None:
    """Rebuild a picture from its stream, in the format of OUT's suffix (PNG, JPEG, TIFF, WebP, BMP).

    Which decoder made a picture of block8 is printed with it. By default a network does where it can: its pixels may
    differ in the last bit from one machine to another. With --decoder linear they are the same on every machine.
    """
    if mask is not None and not lossy:
        raise UsageError("--mask shows what --lossy filled in: give both")

    def opening(name: str) -> _Opened:
        found = _open(name, decoder, backend, threads, precision)
        if verbose:
            say_choice(found.codec)
        return found

    if lossy:
        STDERR.print(one_line(_decode_lossy(source, target, mask, opening(codec or _LOSSY))))
        return
    if is_folder(source) and source.resolve() == target.resolve():
        raise UsageError("decode into another directory: here the pictures could replace their originals")
    opened = {} if codec is None else {codec: opening(codec)}

    def work(path: Path, output: Path) -> str:
        format_of(output)  # before the work, not after it
        stream = read_stream_file(path)
        name = codec or stream_codec(stream)
        if name not in opened:
            opened[name] = opening(name)
        found = opened[name]
        start = time.perf_counter()
        image = found.codec.decode(stream, **found.keywords)
        seconds = time.perf_counter() - start
        write_image(output, image)
        return f"{path} -> {output}: {image.shape[1]}x{image.shape[0]}, {1000 * seconds:.0f} ms{found.note()}"

    work_through(source, target, suffixes=(SUFFIX,), new_suffix=".png", work=work, none_found=StreamError)


@dataclass(frozen=True)
class _Opened:
    """A codec, and of block8 which decoder."""

    codec: Codec
    choice: DecoderChoice | None = None

    @property
    def keywords(self) -> dict[str, Any]:
        """What `decode` takes besides."""
        return {} if self.choice is None else {"decoder": self.choice}

    def note(self) -> str:
        """What decoded the last stream, if that was to be chosen: the end of a line."""
        return "" if self.choice is None else f", decoder {self.choice.taken}"


def _open(name: str, decoder: str, backend: str, threads: int, precision: str) -> _Opened:
    """Open a codec, and choose block8's decoder."""
    if find_bundle(name).layout != BLOCK8_LAYOUT:
        if decoder != "auto":
            raise UsageError(f"{name} has no --decoder {decoder}: only block8 has a choice")
        return _Opened(Codec.load(name, backend, threads, precision))
    # The backend is the network's; block8 itself has but one, and refuses others where there is no network.
    for_codec = decoder == "linear" or backend in ("auto", "native")
    codec = Codec.load(name, backend if for_codec else "auto", threads)
    pick: Callable[..., DecoderChoice] = codec.pick_decoder  # type: ignore[attr-defined]
    return _Opened(codec, pick(decoder, "auto" if for_codec else backend, precision))


def _decode_lossy(source: Path, target: Path, mask: Path | None, opened: _Opened) -> str:
    decode_with: Callable[..., Any] | None = getattr(opened.codec, "decode_lossy", None)
    if decode_with is None:
        raise UsageError(
            f"the codec {opened.codec.bundle.codec} has no --lossy: only block8's packets decode alone"
        )
    for path in (target, *([] if mask is None else [mask])):
        format_of(path)  # before the work, not after it
    pieces = read_pieces(source)
    start = time.perf_counter()
    picture = decode_with(pieces, **opened.keywords)
    seconds = time.perf_counter() - start
    write_image(target, picture.image)
    if mask is not None:
        write_image(mask, picture.mask)
    height, width = picture.image.shape[:2]
    blocks, concealed = picture.concealed.size, int(picture.concealed.sum())
    return (
        f"{source} -> {target}: {width}x{height}, {picture.packets} packets, "
        f"{concealed} of {blocks} blocks concealed ({100 * concealed / blocks:.1f} %), {1000 * seconds:.0f} ms"
        f"{opened.note()}"
    )


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=_EPILOG)(decode)
