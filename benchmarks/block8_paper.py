"""block8-paper against its paper and against JPEG, at every size in the paper's tables.

    python benchmarks/block8_paper.py --images DIR

DIR holds lena.png, boat.png and goldhill.png, 512x512 and grey. Every figure is measured on decoded streams
and files, headers included. Needs the [train] extra, to run the paper's own decoder in torch.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from farlook.benchmarks.jpeg import decode_jpeg, encode_jpeg, scale_within
from farlook.benchmarks.metrics import psnr
from farlook.models import checkpoint
from farlook.models.block8_paper_bundle import SHIPPED
from farlook.models.block8_paper_transforms import Synthesis, block_local
from farlook.runtime.bundle import find_bundle
from farlook.runtime.codec import Codec
from farlook.runtime.files import write_bytes
from farlook.runtime.images import read_image
from farlook.runtime.layouts import open_layout
from farlook.runtime.stream import read_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

_HEAD = """# block8-paper against its paper and JPEG

The images are 512x512, grey. Written by

    {command}

PSNR in dB. *Ours* is a decoded farlook stream of at most the paper's bits, every header and checksum included.
*Block-local* is the same stream drawn by the paper's own decoder, each block from its own latents only. JPEG is
libjpeg-turbo's baseline with the standard quantisation tables, scaled as finely as it takes to use the same bits,
once with the standard Huffman tables and once with optimised ones; a dash means that its smallest file is larger.
The paper's figures are its own: it does not say how it counts headers.

At or above the paper: {met} of {sizes} sizes. Above optimised JPEG: {above_jpeg} of {sizes}.

| image | bits | paper | ours | (bits used) | block-local | JPEG, standard tables | JPEG, optimised |
|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One size of one image: bits and PSNR in dB; None where JPEG's smallest file is larger."""

    image: str
    bits: int
    paper: float
    ours_bits: int
    ours: float
    local: float
    jpeg_standard: float | None
    jpeg_optimised: float | None

    def markdown(self) -> str:
        """The row of the table."""
        jpeg = [
            "-" if value is None else f"{value:.2f}" for value in (self.jpeg_standard, self.jpeg_optimised)
        ]
        ours = (f"**{self.ours:.2f}**", f"({self.ours_bits})", f"{self.local:.2f}")
        return f"| {' | '.join([self.image, str(self.bits), f'{self.paper:.2f}', *ours, *jpeg])} |\n"


class LocalDecoder:
    """The paper's own decoder of the shipped weights, as a session that the layout can run."""

    def __init__(self) -> None:
        self._synthesis = Synthesis(block_local(checkpoint.load(SHIPPED).tensors))

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """See `farlook.runtime.backends.base.Session`."""
        with torch.no_grad():
            image = self._synthesis(*(torch.from_numpy(inputs[name]) for name in ("latents", "detailed")))
        return {"image": image.numpy()}

    def decode(self, stream: bytes) -> NDArray[np.uint8]:
        """The picture of a grey stream of the shipped bundle."""
        header, payloads = read_stream(stream)
        layout = open_layout(find_bundle(header.codec))
        symbols = layout.unpack(payloads, header.tiles, header.bands)
        return layout.synthesise(self, symbols, header.quality, header.tiles)[0]


def measure(images: Path) -> list[Row]:
    """Code every image at every size."""
    codec, local = Codec.load("block8-paper"), LocalDecoder()
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
                    local=psnr(image, local.decode(stream)),
                    jpeg_standard=jpeg_psnr(image, budget, optimise=False),
                    jpeg_optimised=jpeg_psnr(image, budget, optimise=True),
                )
            )
    return rows


def jpeg_psnr(image: NDArray[np.uint8], budget: int, *, optimise: bool) -> float | None:
    """PSNR of the best JPEG of at most `budget` bytes."""
    scale = scale_within(image, budget, optimise=optimise)
    return None if scale is None else psnr(image, decode_jpeg(encode_jpeg(image, scale, optimise=optimise)))


def page(rows: Sequence[Row], command: str) -> str:
    """The rows as a page."""
    head = _HEAD.format(
        command=command,
        sizes=len(rows),
        met=sum(row.ours >= row.paper for row in rows),
        above_jpeg=sum(row.jpeg_optimised is None or row.ours > row.jpeg_optimised for row in rows),
    )
    return head + "".join(row.markdown() for row in rows)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="directory of lena.png, boat.png, goldhill.png"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/measurements/block8-paper.md"))
    arguments = parser.parse_args()
    rows = measure(arguments.images)
    command = f"python benchmarks/block8_paper.py --images {arguments.images}"
    write_bytes(arguments.output, page(rows, command).encode())
    for row in rows:
        verdict = "at or above the paper" if row.ours >= row.paper else "BELOW the paper"
        print(f"{row.image:9} {row.bits:6} bits: {row.ours:.2f} dB, paper {row.paper:.2f}: {verdict}")
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
