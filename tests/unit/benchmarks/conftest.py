"""A block8 for the tests of what surrounds it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from farlook.benchmarks import block8_codec
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
