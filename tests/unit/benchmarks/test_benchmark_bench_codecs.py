"""Codecs by their `name:parameter` strings."""

from types import SimpleNamespace

import numpy as np
import pytest

from farlook.benchmarks import bench_codecs
from farlook.benchmarks.bench_codecs import choose_specs, open_spec
from farlook.benchmarks.metrics import psnr
from farlook.runtime.errors import FarlookError, MissingExtraError, UsageError


@pytest.fixture(scope="module")
def piece(kodim):
    """Odd sides: uint8 [101, 133, 3]."""
    return np.ascontiguousarray(kodim[200:301, 300:433])


@pytest.mark.parametrize(
    "spec",
    ["farlook:block8", "farlook:block8:tune=ms-ssim", "jpeg2000", "webp:m4", "webp:m0:half", "jpeg2000:half"],
)
@pytest.mark.parametrize("grey", [False, True])
def test_files_keep_their_budgets_and_decode(piece, spec, grey):
    image = np.ascontiguousarray(piece[..., 1]) if grey else piece
    codec = open_spec(spec)
    budgets = [600, 900, 1200]
    found = codec.within(image, budgets)
    assert all(file is not None for file in found)
    qualities = []
    for budget, (setting, data) in zip(budgets, found, strict=True):
        assert 0.5 * budget < len(data) <= budget
        assert codec.encode(image, setting) == data
        decoded = codec.reconstruct(data, image)
        assert (decoded.shape, decoded.dtype) == (image.shape, np.uint8)
        qualities.append(psnr(image, decoded))
    assert qualities == sorted(qualities)


def test_a_budget_below_the_smallest_file_has_none(piece):
    codec = open_spec("webp:m6")
    setting, data = codec.smallest(piece)
    assert codec.within(piece, [len(data) - 1, len(data)]) == [None, (setting, data)]
    assert open_spec("farlook:block8").within(piece, [5]) == [None]


def test_half_costs_a_byte_and_keeps_odd_sides(piece):
    half = open_spec("webp:m6:half")
    data = half.encode(piece, 80)
    assert half.decode(data).shape == (101, 133, 3)
    assert half.decode(half.encode(piece[:100, :133], 80)).shape == (100, 133, 3)
    assert "half resolution" in half.description


def test_a_bundle_is_a_codec(piece, shipped):
    codec = open_spec(f"farlook:{shipped}")
    assert codec.decode(codec.encode(piece, 50)).shape == piece.shape
    assert len(codec.digest) == 64


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gif", "no codec is called 'gif'"),
        ("webp:m7", "m0 to m6"),
        ("webp:s6", "m0 to m6"),
        ("webp:m1:m2", "m0 to m6"),
        ("jpeg2000:5", "which are half"),
        ("farlook", "names no codec"),
        ("farlook:", "names no codec"),
        ("farlook:block8:half", "other people's"),
        ("farlook:block8-paper:neural", "one decoder only"),
        ("farlook::neural", "names no codec"),
        ("farlook:block8:tones=2", "block8 has no option tones: it has mtu, .*tune"),
        ("farlook:block8:bpp=2", "block8 has no option bpp"),
        ("farlook:block8:tune=", "not an option: write NAME=VALUE"),
        ("farlook:block8:mtu=99:mtu=98", "given twice"),
        ("farlook:block8:tune=sharp", "^farlook:block8:tune=sharp: there is no tune 'sharp'"),
        ("farlook:block8:mtu=few", "^farlook:block8:mtu=few: mtu must be"),
        ("farlook:block8:roi=all", "^farlook:block8:roi=all: "),
        ("farlook:block8:threads=4", "one thread"),
        ("farlook:block8:neural:tune=ms-ssim", "options come before the decoder"),
        ("farlook:block8:tune=ms-ssim:half", "other people's"),
    ],
)
def test_a_mistyped_codec_is_an_error_even_with_a_question_mark(spec, message):
    for text in (spec, f"{spec}?"):
        with pytest.raises(UsageError, match=message):
            choose_specs([text])


def test_what_is_not_installed_is_left_out_only_if_it_may_be(monkeypatch):
    def missing(*_):
        raise MissingExtraError("imagecodecs", "bench", "to run it")

    monkeypatch.setitem(bench_codecs.KINDS, "jxl", bench_codecs.Kind(missing, [1]))
    open_spec.cache_clear()
    chosen, left_out = choose_specs(["jpeg2000", "jxl?"])
    assert chosen == ["jpeg2000"]
    assert "imagecodecs" in left_out["jxl"]
    with pytest.raises(FarlookError, match=r"jxl: imagecodecs is needed .* write jxl\?") as caught:
        choose_specs(["jpeg2000", "jxl"])
    assert caught.value.exit_code == MissingExtraError.exit_code
    with pytest.raises(UsageError, match="no codec is left"):
        choose_specs(["jxl?"])
    open_spec.cache_clear()


def test_a_codec_is_named_once():
    with pytest.raises(UsageError, match="twice"):
        choose_specs(["jpeg2000", "jpeg2000?"])


def test_a_decoder_reaches_the_codec(piece, monkeypatch):
    from farlook.runtime.codec import Codec

    block8 = Codec.load("block8")
    network = SimpleNamespace(bundle=SimpleNamespace(digest=b"\x0a\x0b"))
    used = []

    class TwoDecoders:
        bundle, check_options, encode = block8.bundle, block8.check_options, block8.encode

        def choose_decoder(self, choice):
            used.append(choice)
            return network, "a reason"

        def decode(self, data, decoder="linear"):
            used.append(decoder)
            return block8.decode(data)

    monkeypatch.setattr("farlook.benchmarks.codecs.Codec.load", lambda name, threads: TwoDecoders())
    codec = open_spec.__wrapped__("farlook:block8:neural:best")
    codec.decode(codec.encode(piece, 50))
    assert used == ["neural:best", network]
    assert "decoder neural:best (a reason)" in codec.description
    assert codec.digest == f"{block8.bundle.digest.hex()} and 0a0b"


def test_options_reach_the_encoder(piece):
    from farlook.runtime.codec import Codec

    block8 = Codec.load("block8", threads=1)
    codec = open_spec("farlook:block8:tune=ms-ssim:mtu=100:interleave=no")
    options = {"tune": "ms-ssim", "mtu": 100, "interleave": False}
    assert codec.encode(piece, 60) == block8.encode(piece, quality=60, **options)
    assert codec.within(piece, [900])[0][1] == block8.encode(piece, budget=900, **options)
    assert "tune=ms-ssim, mtu=100, interleave=False" in codec.description
    assert codec.digest == block8.bundle.digest.hex()


def test_options_go_with_a_decoder():
    codec = open_spec("farlook:block8:tune=ms-ssim:linear")
    assert "tune=ms-ssim" in codec.description
    assert "decoder linear" in codec.description


def test_a_codec_without_options_is_described_as_ever():
    assert open_spec("farlook:block8").description == "farlook's block8, defaults, by quality"


def test_block8_has_a_linear_and_a_neural_decoder(piece):
    pytest.importorskip("onnxruntime")
    linear, neural = open_spec("farlook:block8:linear"), open_spec("farlook:block8:neural")
    data = linear.encode(piece, 20)
    assert neural.encode(piece, 20) == data
    assert (linear.decode(data) == open_spec("farlook:block8").decode(data)).all()
    assert (linear.decode(data) != neural.decode(data)).any()
    assert neural.digest.startswith(linear.digest)
    with pytest.raises(UsageError, match="there is no decoder 'other'"):
        choose_specs(["farlook:block8:other?"])
