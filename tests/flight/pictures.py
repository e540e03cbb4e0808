"""Pictures for the flight encoder, and the streams that farlook makes of them, as files for batch.c.

`python pictures.py make DIRECTORY` writes pictures.bin, streams.bin and checksums.bin, after checking that all vector
widths of the installed core agree; `python pictures.py export DIRECTORY` writes the encoder itself, and the tables
for core.c.
"""

from __future__ import annotations

import argparse
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import farlook
from farlook.export.c_source import export_c, structures
from farlook.export.c_tables import c_tables
from farlook.kernels.block8 import (
    MAX_MTU,
    MIN_MTU,
    STEPS,
    UNIT,
    Coefficients,
    Core,
    Encoder,
    Geometry,
    variants,
)
from farlook.kernels.block8_tables import Tables
from farlook.kernels.checksum import crc32c
from farlook.runtime.block8.job import joined, slices_of
from farlook.runtime.block8.stream import DIGEST_BYTES, PREAMBLE, read_stream
from farlook.runtime.bundle import find_bundle

MAX_WIDTH = 16384
RANDOM = 200


@dataclass(frozen=True)
class Picture:
    """A picture and how to code it; from row `later[0]` on, if that is not 0, with the step `later[1]`."""

    image: np.ndarray
    depth: int
    step: int
    mtu: int
    finer: np.ndarray | None = None
    later: tuple[int, int] = (0, 0)
    interleave: bool = True

    @property
    def geometry(self) -> Geometry:
        height, width = self.image.shape[:2]
        return Geometry(width, height, 1 if self.image.ndim == 2 else 3, self.depth)

    def pack(self) -> bytes:
        """For batch.c."""
        g = self.geometry
        numbers = (
            g.width,
            g.height,
            g.bands,
            g.depth,
            self.step,
            self.mtu,
            self.finer is not None,
            *self.later,
            self.interleave,
        )
        finer = b"" if self.finer is None else self.finer.tobytes()
        return struct.pack("<10I", *numbers) + finer + little_endian(self.image)


def little_endian(image: np.ndarray) -> bytes:
    """Samples, the same on every machine."""
    return image.astype("<u2" if image.dtype == np.uint16 else "u1").tobytes()


def golden() -> list[Picture]:
    """The photograph that ships with farlook, whole and at odd sizes; and what takes several slices."""
    with Image.open(Path(farlook.__file__).parent / "samples" / "kodim23.png") as file:
        photo = np.asarray(file.convert("RGB"))
    grey = photo[..., 1].copy()
    wide = np.tile(grey, (1, 22))[:41, :MAX_WIDTH].copy()
    tall = np.tile(grey, (4, 1))[:1999, :401].copy()
    crops = [photo[:161, :243], photo[100:101, :33], photo[7:40, 300:301]]
    return [
        *(Picture(photo, 8, step, mtu) for step, mtu in ((150, 1024), (376, 1024), (448, 250), (576, 64))),
        Picture(photo, 8, 376, 1024, interleave=False),
        Picture(grey, 8, 376, 1024, later=(129, 420)),
        *(Picture(crop.copy(), 8, step, 1024) for crop in crops for step in (64, 376)),
        Picture(wide, 8, 500, 300),
        Picture(tall, 8, 400, 1024, later=(1023, 300)),
        Picture(np.tile(photo, (2, 2, 1))[:901, :1201].copy(), 8, 430, 16384),
        Picture(grey[:99, :131].astype(np.uint16) * 257, 16, 376, 1024),
    ]


def random_pictures(seed: int = 8, count: int = RANDOM) -> list[Picture]:
    """Pictures of all kinds, small, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [_random_picture(rng) for _ in range(count)]


def _random_picture(rng: np.random.Generator) -> Picture:
    height, width = (int(side) for side in np.ceil(2 ** rng.uniform(0, 7.7, 2)))
    bands, depth = int(rng.choice([1, 3])), int(rng.choice([8, 8, 8, 9, 10, 12, 14, 16]))
    levels = _levels(rng, height, width, bands).clip(0, 1) * ((1 << depth) - 1)
    image = np.round(levels).astype(np.uint8 if depth == 8 else np.uint16)
    image = image[..., 0].copy() if bands == 1 else image
    units = -(-height // UNIT) * -(-width // UNIT)
    mtu = int(2 ** rng.uniform(np.log2(MIN_MTU), np.log2(MAX_MTU)))
    finer = rng.choice([0, 0, 0, 16, 64, 255], units).astype(np.uint8) if rng.random() < 0.15 else None
    later = (int(rng.integers(height)), int(rng.integers(STEPS))) if rng.random() < 0.2 else (0, 0)
    return Picture(image, depth, int(rng.integers(STEPS)), mtu, finer, later, bool(rng.integers(2)))


def _levels(rng: np.random.Generator, height: int, width: int, bands: int) -> np.ndarray:
    """Levels of about 0 to 1."""
    shape = (height, width, bands)
    y, x = np.mgrid[:height, :width]
    kind = rng.integers(7)
    if kind == 0:
        return rng.random(shape)
    if kind == 1:
        return np.full(shape, rng.random())
    if kind == 2:
        return rng.integers(0, 2, shape).astype(float)
    angle, period = rng.uniform(0, np.pi), rng.uniform(2, 60)
    phase = (x * np.cos(angle) + y * np.sin(angle)) / period
    waves = {3: phase * period / 256, 4: 0.5 + 0.5 * np.sin(2 * np.pi * phase), 5: np.floor(phase) % 2}
    if kind in waves:
        return waves[kind][..., None] * rng.uniform(0.3, 1, bands) + rng.normal(0, 0.02, shape)
    smooth = np.cumsum(np.cumsum(rng.normal(0, 0.02, shape), 0), 1)
    return 0.5 + smooth


def stream_of(core: Core, picture: Picture, digest: bytes) -> bytes:
    """What farlook writes: slices one after the other, each from an encoder of its own if the step stays."""
    geometry = picture.geometry
    settings = core.settings(
        geometry,
        step=picture.step,
        mtu=picture.mtu,
        digest=digest,
        finer=picture.finer,
        interleave=picture.interleave,
    )
    row, step = picture.later
    if row:
        encoder = Encoder(core, 0, geometry.units_y, settings)
        packets = encoder.push(picture.image[:row])
        encoder.set_step(step)
        packets += encoder.push(picture.image[row:])
    else:
        packets = [
            packet
            for begin, end in slices_of(geometry)
            for packet in core.encode_rows(picture.image, begin, end, settings)
        ]
    return PREAMBLE + joined(packets)


def decoded(core: Core, stream: bytes) -> np.ndarray:
    """The picture of a stream."""
    header, packets = read_stream(stream)
    geometry = header.geometry
    coefficients = Coefficients(geometry)
    core.decode(geometry, packets, coefficients, has_finer=header.has_finer, interleaved=header.interleaved)
    shape = (geometry.height, geometry.width, 3)[: 3 if geometry.bands == 3 else 2]
    image = np.zeros(shape, np.uint8 if geometry.depth == 8 else np.uint16)
    core.synthesise(geometry, 0, geometry.units_y, coefficients, image)
    return image


def make(folder: Path) -> None:
    """Write pictures and streams; all vector widths must agree on them and on what they decode to."""
    bundle = find_bundle("block8")
    tables = Tables.unpack(bundle.tables())
    digest = bundle.digest[:DIGEST_BYTES]
    pictures = golden() + random_pictures()
    scalar = Core(tables, "scalar")
    streams = [stream_of(scalar, picture, digest) for picture in pictures]
    images = [decoded(scalar, stream) for stream in streams]
    for variant in variants():
        core = Core(tables, variant)
        for number, picture in enumerate(pictures):
            if stream_of(core, picture, digest) != streams[number]:
                sys.exit(f"{variant} and scalar write different streams of picture {number}")
            if not np.array_equal(decoded(core, streams[number]), images[number]):
                sys.exit(f"{variant} and scalar decode the stream of picture {number} differently")
    (folder / "pictures.bin").write_bytes(b"".join(picture.pack() for picture in pictures))
    (folder / "streams.bin").write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in streams))
    sums = [crc32c(little_endian(image)) for image in images]
    (folder / "checksums.bin").write_bytes(struct.pack(f"<{len(sums)}I", *sums))
    total = sum(map(len, streams))
    sys.stdout.write(f"{len(pictures)} pictures, {total} bytes of streams: {', '.join(variants())} agree\n")


def export(folder: Path) -> None:
    """Write the encoder, and its structures of tables as a header."""
    export_c(folder, max_width=MAX_WIDTH, max_mtu=MAX_MTU)
    bundle = find_bundle("block8")
    tables = Tables.unpack(bundle.tables())
    (folder / "tables.h").write_text(structures(tables, c_tables(tables, chroma=True), bundle.digest) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["make", "export"])
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.directory)
    else:
        export(arguments.directory)


if __name__ == "__main__":
    main()
