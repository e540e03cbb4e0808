"""A block8 for the tests of what surrounds it."""

from __future__ import annotations

import json
import math
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks import block8_codec
from farlook.benchmarks.bench_setup import crop_file
from farlook.benchmarks.jpeg import decode_jpeg, encode_jpeg, scale_within
from farlook.runtime.errors import StreamError


class StandIn:
    """JPEG cut into pieces of an MTU: what block8 takes and gives, but for its worth."""

    def encode(self, image, *, quality=None, bpp=None, budget=None, mtu=1024, threads=1):
        assert sum(target is not None for target in (quality, bpp, budget)) == 1
        scale = scale_within(image, budget, optimise=True) if budget else 2 ** (6 - quality / 10)
        self.mtu = mtu
        return encode_jpeg(image, scale, optimise=True)

    def decode(self, data, threads=1):
        return decode_jpeg(data)

    def decode_lossy(self, packets):
        """Lost bytes cost the picture its contrast."""
        if not packets or not packets[0].startswith(b"\xff\xd8"):
            raise StreamError("no packet tells what the picture is")
        whole = b"".join(packets)
        image = decode_jpeg(whole) if len(whole) == self.size else np.full(self.shape, 100, np.uint8)
        return SimpleNamespace(image=image, concealed=np.zeros((1, 1), bool))

    def split(self, stream):
        self.shape, self.size = decode_jpeg(stream).shape, len(stream)
        return [stream[start : start + self.mtu] for start in range(0, len(stream), self.mtu)]


@pytest.fixture
def block8(monkeypatch):
    """Stands for block8 wherever the benchmarks load it."""
    made = StandIn()
    monkeypatch.setattr(block8_codec.Codec, "load", lambda name, **_: made)
    monkeypatch.setattr(block8_codec, "import_module", lambda name: SimpleNamespace(split_packets=made.split))
    return made


HOSTILE = '<img src=x onerror="document.title=1">&{{js}}.png'
"""A picture's name that must stay text, wherever it is shown."""


@pytest.fixture
def make_results(tmp_path):
    """A maker of finished results as `farlook bench` leaves them, without running a codec.

    Curves gain 3 dB a doubling; `bytes_needed` says how many bytes each codec takes for the same PSNR.
    """

    def make(
        name="results", bytes_needed=None, rates=(0.1, 0.2, 0.4), mode="rgb", pictures=("one.png", HOSTILE)
    ):
        bytes_needed = bytes_needed or {"farlook:block8": 0.5, "jpeg2000": 1.0, "webp:m6:half": 1.25}
        folder = tmp_path / name
        (folder / "crops").mkdir(parents=True)
        file = {"width": 400, "height": 250, "sha256": "0", "crop": [0, 0, 32, 24]}
        setup = {
            "format": 2,
            "set": "kodak",
            "mode": mode,
            "rates": list(rates),
            "reach": 2 * rates[-1],
            "repeats": 3,
            "perceptual": False,
            "pictures": dict.fromkeys(pictures, file),
            "codecs": {codec: {"description": f"{codec} <1>", "digest": ""} for codec in bytes_needed},
            "versions": {"farlook": "0"},
            "machine": {"processor": "a processor", "cores": 2, "system": "Linux"},
        }
        (folder / "setup.json").write_text(json.dumps(setup))
        piece = BytesIO()
        Image.new("RGB", (32, 24), "red").save(piece, "WEBP", lossless=True)
        points, timings = [], []
        for number, picture in enumerate(pictures):
            (folder / "crops" / f"{number:03d}-original.webp").write_bytes(piece.getvalue())
            for codec, needed in bytes_needed.items():
                key = {"picture": picture, "codec": codec}
                container = 25 if codec.startswith("webp") else 0
                values = [made_point(rate, needed, mode, container) for rate in (*rates, 2 * rates[-1])]
                points.append({**key, "unreached": [], "points": values})
                seconds = {"encode_s": [0.1 * needed, 0.1, 0.2], "decode_s": [0.05, 0.05, 0.05]}
                when = {
                    "date": f"2026-01-31T23:{len(timings):02d}:09Z",
                    "load": [0.9, 1.0 + len(timings) / 10],
                }
                timings.append({**key, **when, "points": [{"rate": rate, **seconds} for rate in rates]})
                for rate in rates:
                    crop = folder / "crops" / crop_file(number, codec, rate)
                    crop.write_bytes(piece.getvalue())
        for file_name, records in (("points.jsonl", points), ("timings.jsonl", timings)):
            (folder / file_name).write_text("".join(json.dumps(record) + "\n" for record in records))
        return folder

    return make


def made_point(rate, needed, mode, container):
    """A file at a rate: PSNR by how far its bytes go, similarities that rise with it."""
    level = math.log2(rate / needed / 0.05)
    similarity = 1 - 0.3 * 2**-level
    luma = {"psnr-luma": 25 + 3 * level, "ssim-luma": similarity, "ms-ssim-luma": similarity}
    colour = {"psnr-rgb": 24 + 3 * level, "ms-ssim-rgb": similarity}
    figures = luma | colour if mode == "rgb" else luma
    size = int(12500 * rate)
    file = {"bytes": size, "payload_bytes": size - container, "sha256": "0", "bpp": rate}
    return {"rate": rate, "setting": rate, **file, **figures}
