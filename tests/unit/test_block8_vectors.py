"""Golden streams of block8: the same pixels for ever and on every machine; and the same bytes from the encoder."""

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from farlook.kernels.block8 import variants
from farlook.runtime.block8.codec import Block8Codec
from farlook.runtime.bundle import Bundle

VECTORS = Path(__file__).parent.parent / "vectors"
FOLDER = VECTORS / "block8"
DIGESTS = json.loads((FOLDER / "pixels.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundle():
    return Bundle.open(FOLDER / "v2.bundle")


@pytest.fixture(scope="module")
def pictures():
    spec = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.block8_pictures()


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_pixels_are_exact(bundle, name, variant):
    decoded = Block8Codec(bundle, variant=variant).decode((FOLDER / f"{name}.flk").read_bytes())
    pixels = decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()
    assert hashlib.sha256(pixels).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_bytes_are_exact(bundle, pictures, name, variant):
    image, settings = pictures[name]
    codec = Block8Codec(bundle, variant=variant)
    assert codec.encode(image, **settings) == (FOLDER / f"{name}.flk").read_bytes()
