"""Makes the vectors of shipped neural codecs anew: after new weights, never to mend a failing test.

    python tests/vectors/make_shipped.py

For each codec a stream of a part of the sample picture, and the digest of the symbols that it decodes to, on every
machine.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

import farlook
from farlook.runtime.images import read_image
from farlook.runtime.neural.codec import NeuralCodec

HERE = Path(__file__).parent / "shipped"
SAMPLE = Path(farlook.__file__).parent / "samples" / "kodim23.png"
CODECS = ("fera", "aara", "mrdcae", "mfca")
QUALITY = 30


def main() -> None:
    """Write the streams and digests."""
    picture = np.ascontiguousarray(read_image(SAMPLE)[150:310, 250:450])
    digests = {}
    for name in CODECS:
        codec = farlook.Codec.load(name, threads=1)
        if not isinstance(codec, NeuralCodec):
            raise TypeError(f"{name} is no neural codec")
        stream = codec.encode(picture, quality=QUALITY)
        (HERE / f"{name}.flk").write_bytes(stream)
        _, symbols = codec.symbols(stream)
        digests[name] = {
            latent: hashlib.sha256(values.astype("<i4").tobytes()).hexdigest()
            for latent, values in symbols.items()
        }
    (HERE / "symbols.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
