"""Golden streams: format 1 decodes to the same symbols for ever, and those are coded to the same bytes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from farlook.runtime.bundle import Bundle
from farlook.runtime.codec import Codec
from farlook.runtime.images import read_image
from farlook.runtime.layouts import open_layout
from farlook.runtime.stream import read_stream, write_stream

VECTORS = Path(__file__).parent.parent / "vectors"
BUNDLE = VECTORS / "block8-paper-v1.bundle"
DIGESTS = json.loads((VECTORS / "symbols.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def layout():
    return open_layout(Bundle.open(BUNDLE))


@pytest.fixture(params=sorted(DIGESTS))
def name(request):
    return request.param


@pytest.fixture
def stream(name):
    return (VECTORS / f"{name}.flk").read_bytes()


def test_symbols_are_exact(layout, name, stream):
    header, payloads = read_stream(stream)
    digest = hashlib.sha256()
    for plane in layout.unpack(payloads, header.tiles, header.bands):
        digest.update(plane.latents.astype("<i4").tobytes())
        digest.update(plane.detailed.astype("u1").tobytes())
    assert digest.hexdigest() == DIGESTS[name]


def test_bytes_are_exact(layout, stream):
    header, payloads = read_stream(stream)
    symbols = layout.unpack(payloads, header.tiles, header.bands)
    assert write_stream(header, layout.pack(symbols, header.tiles)) == stream


def test_pictures_are_within_two_grey_levels(name, stream):
    # The synthesis is floating point: another machine may round a plane's sample the other way.
    decoded = Codec.load(BUNDLE, threads=1).decode(stream).astype(int)
    assert np.abs(decoded - read_image(VECTORS / f"{name}.png").astype(int)).max() <= 2
