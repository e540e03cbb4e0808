"""block8 with a decoder for the ground as a codec of its own."""

from __future__ import annotations

import numpy as np
import pytest

import farlook
from farlook.runtime.block8.stream import split_packets
from farlook.runtime.errors import BackendError, BundleError, ImageError, UsageError

FAST = "block8-ground-fast"


@pytest.fixture(scope="module")
def block8():
    return farlook.Codec.load("block8", threads=1)


@pytest.fixture(scope="module")
def ground():
    pytest.importorskip("onnxruntime")
    return farlook.Codec.load(FAST, "ort", threads=1)


@pytest.fixture(scope="module")
def picture(kodim):
    return np.ascontiguousarray(kodim[100:260, 200:420])


def test_its_streams_are_block8s_and_its_pictures_the_networks(block8, ground, picture):
    stream = ground.encode(picture, bpp=0.4, mtu=256)
    assert stream == block8.encode(picture, bpp=0.4, mtu=256)
    expected = block8.decode(stream, decoder=f"neural:{ground.bundle.path}")
    np.testing.assert_array_equal(ground.decode(stream), expected)
    assert (expected != block8.decode(stream)).any()


def test_it_repairs_too(block8, ground, picture):
    packets = split_packets(block8.encode(picture, bpp=0.8, mtu=256))
    found = ground.decode_lossy(packets[:-2])
    expected = block8.decode_lossy(packets[:-2], decoder=f"neural:{ground.bundle.path}")
    assert found.lost_units == expected.lost_units > 0
    np.testing.assert_array_equal(found.image, expected.image)


def test_its_network_can_be_watched(ground, picture):
    seen = []

    class Watched:
        def __init__(self, session):
            self.session = session

        def run(self, inputs):
            seen.append({name: array.shape for name, array in inputs.items()})
            return self.session.run(inputs)

    kept = []
    ground.swap_sessions(lambda name, session: kept.append((name, session)) or Watched(session))
    try:
        ground.decode(ground.encode(picture, quality=30))
    finally:
        ground.swap_sessions(lambda *_: kept[0][1])
    assert kept[0][0] == "synthesis"
    assert seen == [
        {
            "image": (1, 3, 160, 224),
            "latents": (1, 64, 20, 28),
            "step": (1, 1, 20, 28),
            "lost": (1, 1, 20, 28),
        }
    ]


def test_it_takes_what_its_network_can_decode(ground, picture):
    with pytest.raises(ImageError, match="8 bits a sample: code this one with block8"):
        ground.encode(picture.astype(np.uint16), quality=30)
    with pytest.raises(UsageError, match="no option depth"):
        ground.encode(picture, quality=30, depth=12)
    ground.check_codec(ground.encode(picture, quality=30, tune="ms-ssim"))


def test_a_precision_that_the_bundle_lacks_is_an_error_under_auto_too(block8, ground):
    for choice in ("auto", "neural"):
        with pytest.raises(BundleError, match="no int8 synthesis graph"):
            block8.choose_decoder(choice, "ort", "int8")
    with pytest.raises(BundleError, match="no fp16 synthesis graph"):
        farlook.Codec.load(FAST, "ort", precision="fp16")
    with pytest.raises(UsageError, match="no precision 'fp17'"):
        block8.choose_decoder("auto", "ort", "fp17")
    with pytest.raises(UsageError, match="linear decoder runs no network"):
        block8.choose_decoder("linear", "auto", "fp16")


def test_a_backend_that_was_asked_for_is_not_passed_over(block8):
    with pytest.raises(BackendError, match="tensorrt"):
        block8.pick_decoder("auto", "tensorrt")
