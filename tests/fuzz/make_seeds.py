"""Makes the fuzz harnesses' seeds, in `seeds/`, from the photograph that ships with farlook.

Run it where farlook is installed; it overwrites the seeds. Seeds are inputs of `fuzz_encoder.c`, `fuzz_decoder.c` and
`fuzz_layers.c`: their fields in the order in which those take them, two bytes each, then pixels or payloads.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

import farlook
from farlook.kernels.block8 import Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.runtime.block8.stream import read_packet
from farlook.runtime.bundle import find_bundle

SEEDS = Path(__file__).parent / "seeds"
PIXELS = 40
CORNERS = [(300, 120), (100, 440), (420, 330), (20, 60), (200, 600)]


def fields(*values: int) -> bytes:
    """Two bytes each, little-endian."""
    return b"".join(value.to_bytes(2, "little") for value in values)


def crop(photograph: np.ndarray, corner: tuple[int, int], bands: int, side: int = PIXELS) -> np.ndarray:
    """A square of the photograph; of its green band if grey."""
    piece = photograph[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
    return np.ascontiguousarray(piece if bands == 3 else piece[:, :, 1])


def encoder_seed(
    bands: int, depth: int, width: int, height: int, step: int, mtu: int, *, pattern: int = 8, size: int = 0,
    seed: int = 1, kind: int = 0, finer: int = 0, pixels: bytes = b"",
) -> bytes:  # fmt: skip
    """An input of `fuzz_encoder.c`: one slice, rows without a gap."""
    head = fields(
        kind, seed, bands == 3, depth - 8, width - 1, height - 1, step, 0, mtu - 64, finer, seed // 16 % 2
    )
    rows = -(-height // 32)
    return head + fields(rows - 1, 0, pattern, size, 0) + pixels


def encoder_seeds(photograph: np.ndarray) -> dict[str, bytes]:
    """Photographs and patterns, in a few depths, steps and mtus."""
    seeds = {}
    for number, (corner, step) in enumerate(zip(CORNERS, (100, 320, 400, 250, 480), strict=True)):
        for bands in (1, 3):
            seeds[f"photograph-{number}-{bands}"] = encoder_seed(
                bands, 8 + 2 * number, 70 + number, 65 - 9 * number, step, 200 * (number + 1), kind=2 * (number == 3),
                finer=number % 3, seed=16 * number, pixels=crop(photograph, corner, bands).tobytes(),
            )  # fmt: skip
    for pattern, depth in product(range(8), (8, 16)):
        seeds[f"pattern-{pattern}-{depth}"] = encoder_seed(
            1 + 2 * (pattern % 2),
            depth,
            80,
            80,
            8 * pattern,
            16384,
            pattern=pattern,
            size=31,
            seed=16 * pattern,
        )
    seeds["random-tables"] = encoder_seed(3, 12, 60, 60, 200, 256, pattern=3, kind=1)
    return seeds


def decoder_seed(geometry: Geometry, photograph: np.ndarray, core: Core, step: int, mtu: int) -> bytes:
    """An input of `fuzz_decoder.c`: the packets of a crop."""
    piece = crop(photograph, CORNERS[step % len(CORNERS)], geometry.bands, geometry.width)
    image = piece[: geometry.height].astype(np.uint16) << (geometry.depth - 8)
    interleave = mtu < 512
    settings = core.settings(geometry, step=step, mtu=mtu, interleave=interleave)
    framed = core.encode_rows(
        image.astype(np.uint8) if geometry.depth == 8 else image, 0, geometry.units_y, settings
    )
    packets = [read_packet(packet.data, settings.header) for packet in framed][:23]
    head = fields(0, 0, geometry.bands == 3, geometry.depth - 8, geometry.width - 1, geometry.height - 1, 0)
    head += fields(2 * interleave, 0, 0, len(packets), 0)
    for packet in packets:
        head += fields(1, packet.count - 1, packet.step, len(packet.data))
    return head + b"".join(packet.data for packet in packets)


def decoder_seeds(photograph: np.ndarray, core: Core) -> dict[str, bytes]:
    """Packets of crops of several sizes, depths and steps."""
    seeds = {}
    for bands, depth, (side, step, mtu) in product(
        (1, 3), (8, 13), ((33, 150, 200), (64, 330, 128), (100, 450, 512))
    ):
        geometry = Geometry(side, side - 5, bands, depth)
        seeds[f"photograph-{bands}-{depth}-{side}"] = decoder_seed(geometry, photograph, core, step, mtu)
    return seeds


def layers_seeds(photograph: np.ndarray) -> dict[str, bytes]:
    """Pictures of noise, squares and the photograph, to be coded in layers; and empty packets of all layers."""
    seeds = {}
    sizes = ((32, 32, 300), (79, 60, 200), (50, 70, 0), (40, 40, 350), (10, 10, 700))
    for bands, depth, (number, (width, height, step)) in product((1, 3), (8, 16), enumerate(sizes)):
        head = fields(2, number, bands == 3, depth - 8, width - 1, height - 1, 0, step, 100 * number)
        kind, pixels = number % 3, b""
        if kind == 2:
            pixels = crop(photograph, CORNERS[number], bands, width)[:height].tobytes()[:2000]
        seeds[f"picture-{bands}-{depth}-{number}"] = head + fields(kind, 8 * number) + pixels
    packets = fields(1, 0) + fields(1, 8, 0, 20)
    seeds["packets"] = fields(0, 0, 1, 0, 60, 60, 0, 330, 0) + 7 * packets + bytes(range(100))
    return seeds


def main() -> None:
    """Write all seeds."""
    with Image.open(Path(farlook.__file__).parent / "samples" / "kodim23.png") as image:
        photograph = np.array(image)
    core = Core(Tables.unpack(find_bundle("block8").tables()), "scalar")
    made = {"encoder": encoder_seeds(photograph), "decoder": decoder_seeds(photograph, core)}
    made["layers"] = layers_seeds(photograph)
    for harness, seeds in made.items():
        folder = SEEDS / harness
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.bin"):
            old.unlink()
        for name, seed in seeds.items():
            (folder / f"{name}.bin").write_bytes(seed)


if __name__ == "__main__":
    main()
