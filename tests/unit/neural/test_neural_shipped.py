"""The neural codecs that ship, with their trained weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import farlook

VECTORS = Path(__file__).parents[2] / "vectors" / "shipped"
CODECS = ("fera", "aara", "mrdcae", "mfca")


def psnr(image, reference):
    return 10 * np.log10(255**2 / np.mean((image.astype(float) - reference) ** 2))


@pytest.fixture(scope="module", params=CODECS)
def codec(request):
    """Each shipped codec, on one thread."""
    pytest.importorskip("onnxruntime")
    return farlook.Codec.load(request.param, threads=1)


@pytest.fixture(scope="module")
def picture(kodim):
    """200x160 pixels with edges, colours and flat parts; no side is a multiple of 32."""
    return np.ascontiguousarray(kodim[150:310, 250:450])


def test_a_stream_decodes_to_the_same_symbols_everywhere(codec):
    """The golden streams; their symbols are the same for every backend, thread count and numpy."""
    want = json.loads((VECTORS / "symbols.json").read_text(encoding="utf-8"))[codec.bundle.codec]
    _, symbols = codec.symbols((VECTORS / f"{codec.bundle.codec}.flk").read_bytes())
    found = {
        name: hashlib.sha256(values.astype("<i4").tobytes()).hexdigest() for name, values in symbols.items()
    }
    assert found == want


def test_golden_streams_show_the_picture(codec, picture):
    image = codec.decode((VECTORS / f"{codec.bundle.codec}.flk").read_bytes())
    assert image.shape == picture.shape
    assert psnr(image, picture) > 27


def test_quality_is_rate_and_fidelity(codec, picture):
    streams = [codec.encode(picture, quality=quality) for quality in (10, 50, 90)]
    fidelities = [psnr(codec.decode(stream), picture) for stream in streams]
    assert fidelities[0] + 2 < fidelities[1] < fidelities[2] - 2
    assert 2 * len(streams[0]) < len(streams[1]) < len(streams[2]) / 2


def test_a_budget_is_met_and_used(codec, picture):
    stream = codec.encode(picture, budget=2500)
    assert 0.95 * 2500 < len(stream) <= 2500


def test_threads_do_not_change_a_stream(codec, picture):
    two = farlook.Codec.load(codec.bundle.codec, threads=2)
    stream = codec.encode(picture, quality=40)
    assert two.encode(picture, quality=40) == stream
    one, other = (each.symbols(stream)[1] for each in (codec, two))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_grey_pictures(codec, picture):
    grey = picture[:, :, 1]
    assert psnr(codec.decode(codec.encode(grey, quality=50)), grey) > 30


def test_maps_are_of_the_picture(codec, picture):
    shown = codec.map(codec.encode(picture, quality=30))
    if codec.bundle.codec in ("mrdcae", "mfca"):
        assert shown.shape == picture.shape[:2]
        assert len(np.unique(shown)) > 1
    else:
        assert shown is None
