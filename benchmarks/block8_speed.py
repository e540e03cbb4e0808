"""Speed and memory of block8 beside libjpeg-turbo and HTJ2K, on one thread, at the same rates, in one run.

    python benchmarks/block8_speed.py --frames ../shared/data/large

Every frame is coded as RGB and as grey. Needs the [bench] extra. `--codecs libjpeg,htj2k` leaves block8 out.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from farlook.benchmarks.metrics import psnr
from farlook.benchmarks.pictures import find_pictures, load, pixels
from farlook.benchmarks.program import make_parser, names, positive, run_program
from farlook.benchmarks.report import figure, processor, table, write_text
from farlook.benchmarks.timing import CODERS, interleaved, open_coder, peak_memory, setting_near
from farlook.models.progress import progress_bars

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from farlook.benchmarks.timing import Coder
    from farlook.models.progress import Report

RATES = (0.15, 0.25)
MODES = {"rgb": "RGB", "luma": "grey"}
USUAL_QUALITY = 75
"""libjpeg's default, beside the quality that has the rate."""

TARGETS = {
    ("rgb", "encode", "libjpeg"): (0.5, 1.0),
    ("rgb", "encode", "htj2k"): (2.0, 2.0),
    ("rgb", "decode", "libjpeg"): (0.25, 0.25),
}
"""Speeds of block8, as a multiple of another's, that it is to reach, and those to try for."""

THREADS_TARGET = 1.8
MEMORY_TARGET = 8e6 / 2**20

_HEAD = """# block8: speed and memory

Written by

    {command}

on {processor}. Frames: {frames}.

One thread unless said otherwise; {repeats} repeats of all rows in turn in one run, after one that does not count; MP/s
are all frames' pixels over the sum of their median times. Each codec's setting is the one whose file is nearest to the
rate, found before, for each frame; libjpeg also runs at quality {usual}. Files go from memory to memory.

{coders}
"""

_MEMORY = """## Peak memory

MiB of resident memory above what a process of its own holds with the frame, the libraries and a small picture coded,
at about {rate:.2f} bits a pixel; of the frames the largest. The stream counts, the decoded frame does not. block8 is
to take less than 8 MB ({target:.2f} MiB).
"""


@dataclass(frozen=True)
class Entry:
    """One codec at one setting on one frame."""

    coder: Coder
    image: NDArray[np.uint8]
    setting: float
    data: bytes

    def tasks(self, threads: int = 1) -> list[Callable[[], object]]:
        """Encode and decode."""
        return [
            partial(self.coder.encode, self.image, self.setting, threads),
            partial(self.coder.decode, self.data, threads),
        ]

    @property
    def bpp(self) -> float:
        """Bits a pixel."""
        return 8 * len(self.data) / pixels(self.image)

    @property
    def psnr(self) -> float:
        """Of the decoded frame."""
        return psnr(self.image, self.coder.decode(self.data).reshape(self.image.shape))


@dataclass(frozen=True)
class Row:
    """One codec at one rate, over all frames; speeds in million pixels a second."""

    mode: str
    coder: str
    rate: float | None
    bpp: float
    psnr: float
    encode: float
    decode: float

    def cells(self) -> list[str]:
        """The row as text."""
        name = f"{self.coder}, " + (f"q{USUAL_QUALITY}" if self.rate is None else f"{self.rate:.2f}")
        speeds = (f"{self.encode:.0f}", f"{self.decode:.0f}")
        return [f"{MODES[self.mode]}, {name}", f"{self.bpp:.3f}", f"{self.psnr:.2f}", *speeds]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


def prepare(name: str, image: NDArray[np.uint8], rate: float | None) -> Entry:
    """Open a coder and find its setting for a rate; libjpeg's usual quality if there is none."""
    coder = open_coder(name, image.ndim == 2)
    setting = USUAL_QUALITY if rate is None else setting_near(coder, image, rate * pixels(image) / 8)
    return Entry(coder, image, setting, coder.encode(image, setting))


def measure(
    coders: Sequence[str], frames: Sequence[Path], mode: str, repeats: int, report: Report
) -> list[Row]:
    """Time all coders at all rates on all frames."""
    keys: list[tuple[str, float | None]] = list(product(coders, RATES))
    if "libjpeg" in coders:
        keys.append(("libjpeg", None))
    figures, total = np.zeros((len(frames), len(keys), 4)), 0.0
    for index, frame in enumerate(frames):
        image = load(frame, mode)
        entries = [prepare(name, image, rate) for name, rate in keys]
        times = interleaved([task for entry in entries for task in entry.tasks()], repeats)
        figures[index, :, :2] = [(entry.bpp, entry.psnr) for entry in entries]
        figures[index, :, 2:] = np.array([median(seconds) for seconds in times]).reshape(-1, 2)
        total += pixels(image) / 1e6
        report(f"{MODES[mode]} frames", index + 1, len(frames))
    means, seconds = figures[..., :2].mean(axis=0), figures[..., 2:].sum(axis=0)
    rows = zip(keys, means.tolist(), (total / seconds).tolist(), strict=True)
    return [Row(mode, name, rate, *quality, *speeds) for (name, rate), quality, speeds in rows]


def threads_gain(frames: Sequence[Path], mode: str, rate: float, repeats: int) -> tuple[float, float]:
    """How many times faster block8 encodes and decodes with two threads."""
    seconds = np.zeros(4)
    for frame in frames:
        entry = prepare("block8", load(frame, mode), rate)
        times = interleaved([*entry.tasks(1), *entry.tasks(2)], repeats)
        seconds += [median(row) for row in times]
    encode, decode = (seconds[:2] / seconds[2:]).tolist()
    return encode, decode


def memory(name: str, frames: Sequence[Path], mode: str, rate: float) -> tuple[float, float]:
    """MiB that a coder takes beside the largest frame, to encode and to decode."""
    encode, decode = [], []
    with tempfile.TemporaryDirectory() as folder:
        for frame in frames:
            entry = prepare(name, load(frame, mode), rate)
            array, stream = Path(folder, "frame.npy"), Path(folder, "stream")
            np.save(array, entry.image)
            stream.write_bytes(entry.data)
            encode.append(peak_memory(name, array, entry.setting))
            decode.append(peak_memory(name, array, entry.setting, stream))
    return max(encode) / 2**20, max(decode) / 2**20


def ratio_rows(rows: Sequence[Row]) -> list[list[str]]:
    """block8's speeds as multiples of the others' at the same rate, beside the targets."""
    found = {(row.mode, row.coder, row.rate): row for row in rows}
    lines = []
    for ours in (row for row in rows if row.coder == "block8"):
        others = [("libjpeg", ours.rate), ("libjpeg", None), ("htj2k", ours.rate)]
        for verb, key in product(("encode", "decode"), others):
            other = found.get((ours.mode, *key))
            if other is None:
                continue
            ratio = getattr(ours, verb) / getattr(other, verb)
            target = TARGETS.get((ours.mode, verb, other.coder)) if other.rate is not None else None
            name = f"{MODES[ours.mode]}, {ours.rate:.2f}, {verb}: {other.coder}"
            lines.append(
                [name + (f" q{USUAL_QUALITY}" if other.rate is None else ""), *_judged(ratio, target)]
            )
    return lines


def _judged(ratio: float, target: tuple[float, float] | None) -> list[str]:
    if target is None:
        return [figure(ratio), "-", "-", ""]
    met = "missed" if ratio < target[0] else "met" if ratio < target[1] else "hope met"
    return [figure(ratio), figure(target[0]), figure(target[1]), met]


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("block8_speed.py", __doc__ or "", "docs/measurements/block8-speed.md")
    parser.add_argument("--frames", type=Path, required=True, help="folder of large pictures")
    parser.add_argument(
        "--codecs",
        type=names,
        default=list(CODERS),
        help=f"with commas between (default: {','.join(CODERS)})",
    )
    parser.add_argument("--repeats", type=positive, default=15, help="(default: %(default)s)")
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    frames = find_pictures(options.frames)
    coders = [open_coder(name, grey=False) for name in options.codecs]
    rows: list[Row] = []
    with progress_bars(not options.quiet) as report:
        for mode in MODES:
            rows += measure(options.codecs, frames, mode, options.repeats, report)
        parts = [_speed_page(rows), *_more_pages(options, frames, report)]
    head = _HEAD.format(
        command=command,
        processor=processor(),
        frames=", ".join(f"{path.name}, {_size(path)}" for path in frames),
        repeats=options.repeats,
        usual=USUAL_QUALITY,
        coders="\n".join(
            f"- `{name}`: {coder.description}" for name, coder in zip(options.codecs, coders, strict=True)
        ),
    )
    write_text(options.output, "\n".join([head, *parts]))
    print("\n".join(parts))
    print(f"wrote {options.output}")


def _size(path: Path) -> str:
    height, width = load(path, "luma").shape
    return f"{width}x{height}"


def _speed_page(rows: Sequence[Row]) -> str:
    header = ["frames, codec, rate", "bits a pixel", "PSNR, dB", "encode, MP/s", "decode, MP/s"]
    parts = ["## Speed", table(header, [row.cells() for row in rows])]
    if lines := ratio_rows(rows):
        parts += ["## block8's speed over another's", table(["", "times", "target", "hope", ""], lines)]
    return "\n\n".join(parts) + "\n"


def _more_pages(options: argparse.Namespace, frames: Sequence[Path], report: Report) -> list[str]:
    """Two threads, and memory."""
    pages = []
    if "block8" in options.codecs:
        gains = []
        for done, (mode, rate) in enumerate(product(MODES, RATES), start=1):
            gain = threads_gain(frames, mode, rate, options.repeats)
            gains.append([f"{MODES[mode]}, {rate:.2f}", *map(figure, gain)])
            report("two threads", done, len(MODES) * len(RATES))
        header = ["frames, rate", "encode, times", "decode, times"]
        pages.append(
            f"## block8 on two threads over one (target {THREADS_TARGET})\n\n{table(header, gains)}\n"
        )
    lines = []
    for done, (mode, name) in enumerate(product(MODES, options.codecs), start=1):
        lines.append([f"{MODES[mode]}, {name}", *map(figure, memory(name, frames, mode, RATES[-1]))])
        report("memory", done, len(MODES) * len(options.codecs))
    head = _MEMORY.format(rate=RATES[-1], target=MEMORY_TARGET)
    pages.append(f"{head}\n{table(['frames, codec', 'encode, MiB', 'decode, MiB'], lines)}\n")
    return pages


if __name__ == "__main__":
    sys.exit(main())
