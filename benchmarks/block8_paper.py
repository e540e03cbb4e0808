"""block8-paper against its paper and against JPEG, at every size in the paper's tables.

    python benchmarks/block8_paper.py --images DIR

DIR holds lena.png, boat.png and goldhill.png, 512x512 and grey. Every figure is measured on decoded streams
and files, headers included.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from farlook.benchmarks.jpeg import decode_jpeg, encode_jpeg, scale_within
from farlook.benchmarks.metrics import psnr
from farlook.runtime.codec import Codec
from farlook.runtime.files import write_bytes
from farlook.runtime.images import read_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# Total bits and PSNR with 8 latents: Taha, Elrefaei, Akah, Abdelrasoul 2025.
PAPER = {
    "lena": "20240/24.24 27722/26.47 31740/27.32 36941/28.24 42102/28.89 48195/29.26",
    "boat": "24911/23.34 32571/25.10 35074/25.59 37483/26.03 43268/26.82 52263/27.46 57533/27.63",
    "goldhill": (
        "21095/24.15 25687/25.07 27052/25.29 32777/26.16 38344/26.82 38646/26.87 45043/27.43 53228/27.90 "
        "58189/28.08 59641/28.12"
    ),
}


@dataclass(frozen=True)
class Row:
    """One size of one image: bits and PSNR in dB; None where JPEG's smallest file is larger."""

    image: str
    bits: int
    paper: float
    ours_bits: int
    ours: float
    local: float | None
    jpeg_standard: float | None
    jpeg_optimised: float | None


def measure(images: Path, codec: Codec, local: Codec | None) -> list[Row]:
    """Code every image at every size; `local` is a bundle with the paper's own decoder."""
    rows = []
    for name, points in PAPER.items():
        image = read_image(images / f"{name}.png")
        for point in points.split():
            bits, paper = point.split("/")
            budget = int(bits) // 8
            stream = codec.encode(image, budget=budget)
            rows.append(
                Row(
                    image=name,
                    bits=int(bits),
                    paper=float(paper),
                    ours_bits=8 * len(stream),
                    ours=psnr(image, codec.decode(stream)),
                    local=None
                    if local is None
                    else psnr(image, local.decode(local.encode(image, budget=budget))),
                    jpeg_standard=jpeg_psnr(image, budget, optimise=False),
                    jpeg_optimised=jpeg_psnr(image, budget, optimise=True),
                )
            )
    return rows


def jpeg_psnr(image: NDArray[np.uint8], budget: int, *, optimise: bool) -> float | None:
    """PSNR of the best JPEG of at most `budget` bytes."""
    scale = scale_within(image, budget, optimise=optimise)
    return None if scale is None else psnr(image, decode_jpeg(encode_jpeg(image, scale, optimise=optimise)))


def markdown(rows: Sequence[Row], commands: Sequence[str]) -> str:
    """The rows as a page."""
    met = sum(row.ours >= row.paper for row in rows)
    lines = [
        "# block8-paper against its paper and JPEG",
        "",
        "The images are 512x512, grey. Written by",
        "",
        *(f"    {line}" for line in commands),
        "",
        "PSNR in dB. *Ours* and *block-local* are decoded farlook streams of at most the paper's bits, every header",
        "and checksum included; *block-local* is the same codec trained with `--block-local`, that is with the",
        "paper's decoder, which draws a block from its own latents only. JPEG is libjpeg-turbo's baseline with the",
        "standard quantisation tables, scaled as finely as it takes to use the same bits, once with the standard",
        "Huffman tables and once with optimised ones; a dash means that its smallest file is larger. The paper's",
        "figures are its own: it does not say how it counts headers.",
        "",
        f"At or above the paper: {met} of {len(rows)} sizes.",
        "",
        "| image | bits | paper | ours | (bits used) | block-local | JPEG, standard tables | JPEG, optimised |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = (row.local, row.jpeg_standard, row.jpeg_optimised)
        cells = [row.image, str(row.bits), f"{row.paper:.2f}", f"**{row.ours:.2f}**", f"({row.ours_bits})"]
        cells += ["-" if value is None else f"{value:.2f}" for value in figures]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="directory of lena.png, boat.png, goldhill.png"
    )
    parser.add_argument(
        "--codec", default="block8-paper", help="codec or bundle to measure (default: as shipped)"
    )
    parser.add_argument(
        "--block-local", type=Path, help="a bundle trained with --block-local, for its column"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/measurements/block8-paper.md"))
    arguments = parser.parse_args()
    local = Codec.load(arguments.block_local) if arguments.block_local else None
    rows = measure(arguments.images, Codec.load(arguments.codec), local)
    commands = [f"python benchmarks/block8_paper.py --images {arguments.images}"]
    if arguments.block_local:
        commands = [
            "farlook train block8-paper --data ../shared/data/train -o runs/local --block-local",
            f"farlook export block8-paper --weights runs/local/model.safetensors -o {arguments.block_local}",
            f"{commands[0]} --block-local {arguments.block_local}",
        ]
    write_bytes(arguments.output, markdown(rows, commands).encode())
    for row in rows:
        verdict = "at or above the paper" if row.ours >= row.paper else "BELOW the paper"
        print(f"{row.image:9} {row.bits:6} bits: {row.ours:.2f} dB, paper {row.paper:.2f}: {verdict}")
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
