"""Makes the golden streams anew: only when the stream format's version changes, never to mend a failing test.

    python tests/vectors/make.py

Writes the shipped bundle, streams made with it, what they decode to, and the digests of their symbols.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

import farlook
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


def main() -> None:
    """Write all vectors."""
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
    main()
