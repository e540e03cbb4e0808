"""block8 as the benchmarks use it."""

from __future__ import annotations

import numpy as np

from farlook.benchmarks.block8_codec import load_block8, split_packets


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
