"""Packet loss: PSNR of block8 beside JPEG with restart markers, losing the same share of their packets.

    python benchmarks/block8_loss.py --images ../shared/data/kodak

Writes a page, its lines beside it as JSON, which `farlook report --loss` shows, and a plot. Needs the [bench] extra.
`--codecs jpeg` runs JPEG alone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from farlook.benchmarks.block8_codec import load_block8, split_packets
from farlook.benchmarks.metrics import psnr
from farlook.benchmarks.pictures import find_pictures, load, pixels
from farlook.benchmarks.program import add_processes, each, make_parser, names, positive, run_program
from farlook.benchmarks.report import (
    average,
    beside,
    figure,
    mean,
    processor,
    relative,
    table,
    write_json,
    write_plot,
    write_text,
)
from farlook.benchmarks.restart_jpeg import RestartJpeg
from farlook.runtime.errors import StreamError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LOSSES = (0.01, 0.05, 0.10, 0.20, 0.40)
PATTERNS = ("random", "bursts")
MTUS = (1024, 256)
MODES = {"luma": "luma", "rgb": "RGB"}
BURST = 4
"""Packets that a burst takes on average."""

TARGET = (0.10, 3.0)
"""A loss, and the decibels that it may cost block8 at most."""

_GREY = 128

_HEAD = """# block8: packet loss

Written by

    {command}

on {processor}. Mean PSNR in dB over {pictures} pictures of {folder} and {draws} seeded draws, at {bpp} bits a pixel,
every header included, by the share of packets that is lost: each with that probability (*random*), or in bursts of
{burst} packets on average (*bursts*: Gilbert and Elliott's two states, in the bad one every packet is lost).

- `block8`: tiles layout; any packet can be lost, the first too; what is there goes to `decode_lossy`. Where nothing
  can be decoded, the picture counts as flat grey.
- `jpeg`: libjpeg-turbo, baseline, 4:2:0, optimised Huffman tables, of the same bytes; restart intervals of a row of
  MCUs or less, whole ones packed into packets; lost ones are left empty, so that all others are decoded in their
  place, and filled by lines between the pixels above and below. Its header is never lost.

![PSNR against loss]({plot})
"""


class Sent(Protocol):
    """A picture in packets."""

    @property
    def count(self) -> int:
        """How many."""

    def receive(self, kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """What the packets that arrive decode to."""


class Block8Sent:
    """block8's packets."""

    def __init__(self, image: NDArray[np.uint8], budget: int, mtu: int) -> None:
        self._codec, self._shape = load_block8(), image.shape
        self._packets = split_packets(self._codec.encode(image, budget=budget, mtu=mtu))
        self.count = len(self._packets)

    def receive(self, kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """See `Sent`."""
        arrived = [packet for packet, there in zip(self._packets, kept, strict=True) if there]
        try:
            return self._codec.decode_lossy(arrived).image
        except StreamError:
            return np.full(self._shape, _GREY, np.uint8)


class JpegSent:
    """JPEG's restart intervals in packets."""

    def __init__(self, image: NDArray[np.uint8], budget: int, mtu: int) -> None:
        jpeg = RestartJpeg.encode(image, budget, mtu)
        if jpeg is None:
            raise UsageError(f"JPEG has no file of {budget} bytes of a picture: give a higher --bpp")
        self._jpeg = jpeg
        self._packets = jpeg.packets(mtu)
        self.count = len(self._packets)

    def receive(self, kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """See `Sent`."""
        lost = {
            segment
            for packet, there in zip(self._packets, kept, strict=True)
            if not there
            for segment in packet
        }
        return self._jpeg.decode(sorted(lost))


SENDERS: dict[str, Callable[[NDArray[np.uint8], int, int], Sent]] = {"block8": Block8Sent, "jpeg": JpegSent}


@dataclass(frozen=True)
class Job:
    """One picture to be sent by one codec, many times."""

    path: Path
    mode: str
    mtu: int
    codec: str
    bpp: float
    draws: int


@dataclass(frozen=True)
class Outcome:
    """PSNR without loss, and of every pattern and loss the mean of the draws."""

    packets: int
    clean: float
    lossy: dict[tuple[str, float], float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; gives the exit code."""
    return run_program(_parser(), _run, arguments)


def arrivals(count: int, loss: float, pattern: str, seed: Sequence[int]) -> NDArray[np.bool_]:
    """Which of `count` packets arrive."""
    chance = np.random.default_rng(seed).random(count)
    if pattern == "random":
        return chance >= loss
    kept = np.empty(count, bool)
    begin, go_on = loss / (1 - loss) / BURST, 1 - 1 / BURST
    bad = False
    for index in range(count):
        bad = bool(chance[index] < (loss if index == 0 else go_on if bad else begin))
        kept[index] = not bad
    return kept


def send(job: Job) -> Outcome:
    """Send a picture without loss, and `draws` times at every pattern and loss."""
    image = load(job.path, job.mode)
    sent = SENDERS[job.codec](image, int(job.bpp * pixels(image) / 8), job.mtu)

    def received(loss: float, pattern: str, draw: int) -> float:
        # The picture's name stirs the seed, so that not all pictures lose the same packets.
        seed = [draw, int(1000 * loss), PATTERNS.index(pattern), *job.path.stem.encode()]
        return psnr(image, sent.receive(arrivals(sent.count, loss, pattern, seed)))

    lossy = {
        (pattern, loss): sum(received(loss, pattern, draw) for draw in range(job.draws)) / job.draws
        for pattern, loss in product(PATTERNS, LOSSES)
    }
    return Outcome(sent.count, psnr(image, sent.receive(np.ones(sent.count, bool))), lossy)


Outcomes = dict[tuple[str, int, str], list[Outcome]]
"""By mode, MTU and codec, those of all pictures."""


def loss_table(outcomes: Outcomes, mode: str, mtu: int) -> str:
    """The table of one mode and MTU."""
    rows = []
    for (_, _, codec), found in _of(outcomes, mode, mtu):
        packets = f"{sum(outcome.packets for outcome in found) / len(found):.0f}"
        for pattern in PATTERNS:
            lossy = [mean([outcome.lossy[pattern, loss] for outcome in found]) for loss in LOSSES]
            clean = mean([outcome.clean for outcome in found])
            rows.append([f"{codec}, {pattern}", packets, clean, *lossy])
    return table(["PSNR, dB", "packets", "none", *(f"{loss:.0%}" for loss in LOSSES)], rows)


def cost(outcomes: Sequence[Outcome], pattern: str, loss: float) -> float:
    """Decibels that a loss costs on average."""
    return sum(outcome.clean - outcome.lossy[pattern, loss] for outcome in outcomes) / len(outcomes)


def target_lines(outcomes: Outcomes) -> list[str]:
    """What the target's loss costs every codec, and whether block8 stays below the target."""
    loss, most = TARGET
    lines = []
    for (mode, mtu, codec), found in outcomes.items():
        costs = [cost(found, pattern, loss) for pattern in PATTERNS]
        met = ("met" if max(costs) < most else "missed") if codec == "block8" else ""
        lines.append([f"{MODES[mode]}, mtu {mtu}, {codec}", *map(figure, costs), met])
    header = [f"cost of losing {loss:.0%}, dB", *PATTERNS, f"below {most:g} dB"]
    return table(header, lines).splitlines()


def panels(outcomes: Outcomes) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Mean PSNR against loss in per cent, for the plot."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for (mode, mtu, codec), group in outcomes.items():
        lines = found.setdefault(f"{MODES[mode]}, packets of {mtu} bytes", {})
        for pattern in PATTERNS:
            clean = [(0.0, average([outcome.clean for outcome in group]) or 0.0)]
            lossy = [
                (100 * loss, average([outcome.lossy[pattern, loss] for outcome in group]) or 0.0)
                for loss in LOSSES
            ]
            lines[codec if pattern == "random" else f"{codec}, {pattern}"] = clean + lossy
    return found


def _of(outcomes: Outcomes, mode: str, mtu: int) -> list[tuple[tuple[str, int, str], list[Outcome]]]:
    return [(key, found) for key, found in outcomes.items() if key[:2] == (mode, mtu)]


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("block8_loss.py", __doc__ or "", "docs/measurements/block8-loss.md")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures")
    parser.add_argument("--codecs", type=names, default=list(SENDERS), help=f"(default: {','.join(SENDERS)})")
    parser.add_argument("--bpp", type=float, default=0.25, help="bits a pixel (default: %(default)s)")
    parser.add_argument("--draws", type=positive, default=20, help="of each loss (default: %(default)s)")
    parser.add_argument(
        "--plot", type=Path, default=Path("docs/images/block8-loss.svg"), help="(default: %(default)s)"
    )
    add_processes(parser)
    return parser


def _run(options: argparse.Namespace, command: str) -> None:
    if not options.codecs or not set(options.codecs) <= set(SENDERS):
        raise UsageError(f"--codecs is of {', '.join(SENDERS)}, not {','.join(options.codecs)!r}")
    if "block8" in options.codecs:
        load_block8()  # or say at once that there is none
    pictures = find_pictures(options.images)
    keys = list(product(MODES, MTUS, options.codecs))
    jobs = [Job(path, *key, options.bpp, options.draws) for key in keys for path in pictures]
    results = each(send, jobs, processes=options.processes, label="loss", quiet=options.quiet)
    count = len(pictures)
    outcomes = {key: results[index * count : (index + 1) * count] for index, key in enumerate(keys)}
    tables = "\n\n".join(
        f"## {MODES[mode]}, packets of at most {mtu} bytes\n\n{loss_table(outcomes, mode, mtu)}"
        for mode, mtu in product(MODES, MTUS)
    )
    head = _HEAD.format(
        command=command,
        processor=processor(),
        pictures=count,
        folder=options.images.resolve().name,
        draws=options.draws,
        bpp=options.bpp,
        burst=BURST,
        plot=relative(options.plot, options.output),
    )
    axes = ("packets lost, %", "mean PSNR, dB")
    write_plot(options.plot, panels(outcomes), axes)
    content = {
        "kind": "packet loss",
        "command": command,
        "processor": processor(),
        "set": options.images.resolve().name,
        "pictures": count,
        "draws": options.draws,
        "bpp": options.bpp,
        "axes": axes,
        "panels": panels(outcomes),
    }
    write_json(beside(options.output, ".json"), content)
    judged = "\n".join(["## The target", "", *target_lines(outcomes)])
    write_text(options.output, "\n".join([head, tables, "", judged]))
    print(f"{tables}\n\n{judged}\nwrote {options.output}, {beside(options.output, '.json')}, {options.plot}")


if __name__ == "__main__":
    sys.exit(main())
