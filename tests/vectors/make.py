"""Makes the golden streams anew: only when a stream format's version changes, never to mend a failing test.

    python tests/vectors/make.py [block8-paper] [block8]

For block8-paper it writes the shipped bundle, streams made with it, what they decode to, and the digests of their
symbols. For block8: a bundle with one of the shipped sets of tables, streams, and the digests of the pixels that they
decode to, which are the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import farlook
from farlook.export.bundle import write_tables_bundle
from farlook.kernels.block8 import STEPS
from farlook.kernels.block8_tables import Tables
from farlook.runtime.bundle import Bundle, shipped_bundles
from farlook.runtime.codec import Codec
from farlook.runtime.images import read_image, write_image
from farlook.runtime.layouts import open_layout
from farlook.runtime.stream import read_stream

HERE = Path(__file__).parent
BUNDLE = HERE / "block8-paper-v1.bundle"


def pictures() -> dict[str, tuple[np.ndarray, int]]:
    """Pictures and qualities: small, odd, of several tiles, grey and RGB, textured and flat."""
    photograph = read_image(Path(farlook.__file__).parent / "samples" / "kodim23.png")
    return {
        "grey": (np.ascontiguousarray(photograph[100:219, 300:471, 1]), 60),
        "colour": (np.ascontiguousarray(photograph[180:480, 60:340]), 45),
        "narrow": (np.ascontiguousarray(photograph[:9, :513]), 80),
        "pixel": (np.full((1, 1, 3), 200, dtype=np.uint8), 50),
        "flat": (np.full((64, 48), 77, dtype=np.uint8), 1),
        "noise": (np.random.default_rng(1).integers(0, 256, (33, 47), dtype=np.uint8), 100),
    }


def symbols_digest(stream: bytes) -> str:
    """SHA-256 of a stream's symbols, as the entropy decoder gives them."""
    header, payloads = read_stream(stream)
    digest = hashlib.sha256()
    for plane in open_layout(Bundle.open(BUNDLE)).unpack(payloads, header.tiles, header.bands):
        digest.update(plane.latents.astype("<i4").tobytes())
        digest.update(plane.detailed.astype("u1").tobytes())
    return digest.hexdigest()


def block8_pictures() -> dict[str, tuple[np.ndarray, dict]]:
    """Pictures and settings: odd sizes, both layouts, small packets, a region, deep samples, rate control."""
    photograph = read_image(Path(farlook.__file__).parent / "samples" / "kodim23.png")
    grey = np.ascontiguousarray(photograph[100:219, 300:471, 1])
    colour = np.ascontiguousarray(photograph[180:480, 60:341])
    deep = (grey.astype(np.uint16) << 4) + np.arange(grey.shape[1], dtype=np.uint16) % 16
    return {
        "grey": (grey, {"quality": 60}),
        "colour": (colour, {"quality": 45}),
        "small-packets": (colour, {"quality": 70, "mtu": 64}),
        "region": (colour, {"quality": 30, "roi": [(50, 60, 100, 90, 8)]}),
        "progressive": (colour, {"quality": 45, "layout": "progressive", "mtu": 300}),
        "budget": (colour, {"budget": 3000}),
        "deep": (deep, {"quality": 75, "depth": 12}),
        "narrow": (np.ascontiguousarray(photograph[:9, :513]), {"quality": 80}),
        "pixel": (np.full((1, 1, 3), 200, dtype=np.uint8), {"quality": 50}),
        "flat": (np.full((512, 512), 77, dtype=np.uint8), {"quality": 50}),
        "noise": (np.random.default_rng(1).integers(0, 256, (33, 47), dtype=np.uint8), {"quality": 100}),
    }


def write_block8() -> None:
    """Write block8's vectors."""
    folder = HERE / "block8"
    folder.mkdir(exist_ok=True)
    shipped = Tables.unpack(Bundle.open(shipped_bundles()["block8"]).tables())
    one = replace(
        shipped,
        limits=(STEPS,),
        sets=shipped.sets[3:4],
        refinement_limits=(STEPS,),
        refinements=shipped.refinements[2:3],
    )
    coding = {"codec": "block8", "layout": "block8"}
    write_tables_bundle(folder / "v2.bundle", coding=coding, tables=one.pack(), training={})
    codec = Codec.load(folder / "v2.bundle")
    digests = {}
    for name, (image, settings) in block8_pictures().items():
        stream = codec.encode(image, **settings)
        (folder / f"{name}.flk").write_bytes(stream)
        decoded = codec.decode(stream)
        digests[name] = hashlib.sha256(decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()).hexdigest()
    (folder / "pixels.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


def write_block8_paper() -> None:
    """Write block8-paper's vectors."""
    shutil.copyfile(shipped_bundles()["block8-paper"], BUNDLE)
    codec = Codec.load(BUNDLE)
    digests = {}
    for name, (image, quality) in pictures().items():
        stream = codec.encode(image, quality=quality)
        (HERE / f"{name}.flk").write_bytes(stream)
        write_image(HERE / f"{name}.png", codec.decode(stream))
        digests[name] = symbols_digest(stream)
    (HERE / "symbols.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    writers = {"block8-paper": write_block8_paper, "block8": write_block8}
    for codec_name in sys.argv[1:] or writers:
        writers[codec_name]()
