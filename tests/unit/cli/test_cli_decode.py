"""farlook decode: which of block8's decoders, and that it is told."""

import re
import warnings

import numpy as np
import pytest

from farlook.runtime.block8.neural import NeuralDecoder
from farlook.runtime.errors import BackendError
from farlook.runtime.images import read_image


@pytest.fixture
def flk(tmp_path, block8, crop):
    """A writer of streams."""

    def write(image=crop, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.flk"
        path.write_bytes(block8.encode(image, **options))
        return path

    return write


@pytest.fixture
def network():
    pytest.importorskip("onnxruntime")


@pytest.fixture
def broken(network, monkeypatch):
    def fail(*_, **__):
        raise BackendError("out of memory")

    monkeypatch.setattr(NeuralDecoder, "improve", fail)


def test_help_says_which_decoder_is_bit_exact(cli):
    text = " ".join(re.sub(r"[│╭╰─╮╯]", " ", cli("decode", "--help").out).split())
    assert "its pixels may differ in the last bit from one machine to another" in text
    assert "With --decoder linear they are the same on every machine" in text


@pytest.mark.parametrize("lossy", [(), ("--lossy",)], ids=["whole", "lossy"])
def test_the_linear_decoder_is_told_and_exact(cli, flk, block8, tmp_path, lossy):
    path = flk(quality=30)
    result = cli("decode", path, tmp_path / "a.png", "--decoder", "linear", *lossy)
    assert result.code == 0
    assert result.err.endswith("ms, decoder linear (asked for)\n")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), block8.decode(path.read_bytes()))


@pytest.mark.parametrize("lossy", [(), ("--lossy",)], ids=["whole", "lossy"])
@pytest.mark.parametrize("backend", [(), ("--backend", "ort")], ids=["default", "ort"])
@pytest.mark.parametrize("decoder", ["auto", "neural"])
def test_the_network_is_told(cli, flk, network, tmp_path, lossy, backend, decoder):
    result = cli("decode", flk(quality=30), tmp_path / "a.png", *backend, "--decoder", decoder, *lossy)
    assert result.err.endswith("ms, decoder neural (block8-ground-fast on ort)\n")


@pytest.mark.parametrize("lossy", [(), ("--lossy",)], ids=["whole", "lossy"])
@pytest.mark.parametrize("backend", [(), ("--backend", "ort")], ids=["default", "ort"])
def test_where_linear_is_taken_it_is_told_why(cli, flk, block8, network, crop, tmp_path, lossy, backend):
    for stream, reason in (
        (flk(quality=95), "the stream's step of"),
        (
            flk(crop[..., 0].astype(np.uint16) << 4, quality=30, depth=12),
            "the network is for pictures of 8 bits",
        ),
    ):
        result = cli("decode", stream, tmp_path / "a.tif", *backend, *lossy)
        assert result.code == 0, result.err
        assert f"decoder linear ({reason}" in result.err
        expected = block8.decode(stream.read_bytes())
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", deep=True), expected)


def test_a_network_that_fails_is_replaced_and_told_in_one_line(cli, flk, block8, broken, tmp_path):
    path = flk(quality=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = cli("decode", path, tmp_path / "a.png")
    assert (result.code, len(result.err.splitlines())) == (0, 1)
    assert result.err.endswith("decoder linear (the neural one failed: out of memory)\n")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), block8.decode(path.read_bytes()))


def test_a_network_that_was_asked_for_must_run(cli, flk, broken, tmp_path):
    result = cli("decode", flk(quality=30), tmp_path / "a.png", "--decoder", "neural")
    assert result.code != 0
    assert "out of memory" in result.complaint
    assert not (tmp_path / "a.png").exists()


def test_a_codec_without_a_choice_tells_none(cli, stream, tmp_path):
    (tmp_path / "a.flk").write_bytes(stream)
    result = cli("decode", tmp_path / "a.flk", tmp_path / "a.png")
    assert "decoder" not in result.err
    refused = cli("decode", tmp_path / "a.flk", tmp_path / "a.png", "--decoder", "linear")
    assert "only block8 has a choice" in refused.complaint
