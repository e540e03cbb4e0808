"""block8 as the benchmarks use it."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.benchmarks import block8_codec
from farlook.benchmarks.block8_codec import load_block8, split_packets
from farlook.runtime.bundle import shipped_bundles
from farlook.runtime.errors import UnknownCodecError


def test_it_is_loaded_by_its_name(monkeypatch):
    monkeypatch.setattr(block8_codec.Codec, "load", lambda name: f"the codec {name}")
    assert load_block8() == "the codec block8"


@pytest.mark.skipif("block8" in shipped_bundles(), reason="this farlook has block8")
def test_without_it_the_error_is_farlooks():
    with pytest.raises(UnknownCodecError):
        load_block8()


@pytest.mark.skipif("block8" not in shipped_bundles(), reason="this farlook has no block8")
def test_what_the_benchmarks_need_of_it(grey):
    codec, picture = load_block8(), np.ascontiguousarray(grey[180:308, 240:400])
    stream = codec.encode(picture, budget=1200, mtu=256, threads=1)
    packets = split_packets(stream)
    assert b"".join(packets) == stream
    assert len(packets) > 1
    received = codec.decode_lossy(packets[:-1])
    assert received.image.shape == picture.shape
    assert received.concealed.any()
    assert (codec.decode(codec.encode(picture, quality=33.5), threads=2).shape) == picture.shape
