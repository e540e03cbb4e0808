"""Which of block8's decoders makes a picture, where the network must not or cannot."""

import warnings

import numpy as np
import pytest

import farlook
from farlook.runtime.block8.choice import DecoderChoice
from farlook.runtime.block8.neural import NeuralDecoder
from farlook.runtime.block8.stream import split_packets
from farlook.runtime.errors import BackendError, UsageError


@pytest.fixture(scope="module")
def codec():
    pytest.importorskip("onnxruntime")
    return farlook.Codec.load("block8", threads=1)


@pytest.fixture(scope="module")
def picture(kodim):
    return np.ascontiguousarray(kodim[100:228, 200:328])


@pytest.fixture
def broken(monkeypatch):
    """A network that opens and does not run."""

    def fail(*_, **__):
        raise BackendError("out of memory")

    monkeypatch.setattr(NeuralDecoder, "improve", fail)


def test_the_linear_decoder_says_that_it_was_asked_for(codec, picture):
    choice = codec.pick_decoder("linear")
    stream = codec.encode(picture, quality=20)
    np.testing.assert_array_equal(codec.decode(stream, decoder=choice), codec.decode(stream))
    assert choice.taken == "linear (asked for)"


@pytest.mark.parametrize("kind", ["auto", "neural"])
def test_every_picture_has_its_own_answer(codec, picture, kind):
    choice = codec.pick_decoder(kind, "ort")
    better = codec.decode(codec.encode(picture, quality=20), decoder=choice)
    assert choice.taken == "neural (block8-ground-fast on ort)"
    assert better.shape == picture.shape
    codec.decode(codec.encode(picture, quality=95), decoder=choice)
    assert choice.taken.startswith("linear (the stream's step of")
    packets = split_packets(codec.encode(picture, quality=20))
    codec.decode_lossy(packets, decoder=choice)
    assert choice.taken.startswith("neural")


def test_deep_pictures_are_linear_by_auto_and_refused_by_neural(codec, picture):
    stream = codec.encode(picture[..., 0].astype(np.uint16) << 4, quality=20, depth=12)
    choice = codec.pick_decoder("auto", "ort")
    np.testing.assert_array_equal(codec.decode(stream, decoder=choice), codec.decode(stream))
    assert "8 bits a sample, this one has 12" in choice.taken
    for decoder in (codec.pick_decoder("neural", "ort"), codec.choose_decoder("neural", "ort")[0], "neural"):
        with pytest.raises(UsageError, match="12: take the decoder linear, or auto"):
            codec.decode(stream, decoder=decoder)


def test_a_network_that_fails_is_replaced_under_auto(codec, picture, broken):
    stream = codec.encode(picture, quality=20)
    linear = codec.decode(stream)
    with pytest.warns(
        RuntimeWarning, match="block8 decoded linearly, the neural one failed: out of memory"
    ) as told:
        np.testing.assert_array_equal(codec.decode(stream, decoder="auto"), linear)
    assert told[0].filename == __file__, "the warning points to who called"
    with pytest.warns(RuntimeWarning):
        np.testing.assert_array_equal(codec.decode_lossy(stream, decoder="auto").image, linear)
    choice = codec.pick_decoder("auto")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(codec.decode(stream, decoder=choice), linear)
    assert choice.taken == "linear (the neural one failed: out of memory)"


def test_a_network_that_was_asked_for_must_not_fail(codec, picture, broken):
    stream = codec.encode(picture, quality=20)
    for decoder in ("neural", codec.pick_decoder("neural"), codec.choose_decoder("neural")[0]):
        with pytest.raises(BackendError, match="out of memory"):
            codec.decode(stream, decoder=decoder)


def test_a_failure_is_not_remembered(codec, picture, monkeypatch):
    stream, choice = (
        codec.encode(picture, quality=20),
        DecoderChoice(*codec.choose_decoder("neural"), falls_back=True),
    )
    with monkeypatch.context() as patch:
        patch.setattr(NeuralDecoder, "improve", lambda *_, **__: (_ for _ in ()).throw(BackendError("busy")))
        codec.decode(stream, decoder=choice)
        assert choice.failure
    codec.decode(stream, decoder=choice)
    assert (choice.failure, choice.taken[:6]) == ("", "neural")
