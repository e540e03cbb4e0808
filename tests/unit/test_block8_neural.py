"""block8's decoder for the ground: what it gains, where it stays away, and that no seam shows."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

import farlook
from farlook.kernels.block8 import step_size
from farlook.runtime.block8 import neural
from farlook.runtime.block8.neural import GroundCoding, NeuralDecoder, parse_choice
from farlook.runtime.block8.stream import first_header, split_packets
from farlook.runtime.bundle import Bundle, coding_digest, find_bundle, shipped_bundles, shipped_decoders
from farlook.runtime.errors import (
    BackendError,
    BundleError,
    MissingExtraError,
    UnknownCodecError,
    UsageError,
)

FAST = "block8-ground-fast"


@pytest.fixture(scope="module")
def codec():
    return farlook.Codec.load("block8", threads=1)


@pytest.fixture(scope="module")
def network(codec):
    pytest.importorskip("onnxruntime")
    return codec.choose_decoder("neural", "ort")[0]


@pytest.fixture(scope="module")
def picture(kodim):
    return np.ascontiguousarray(kodim[60:360, 180:500])


def psnr(a, b):
    return 10 * np.log10(255.0**2 / np.mean((a.astype(float) - b) ** 2))


def damaged(tmp_path, change):
    """The shipped decoder with another `coding`."""
    source = shipped_decoders()[FAST]
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["bundle.json"])
    change(manifest["coding"])
    manifest["coding_digest"] = coding_digest(manifest["coding"]).hex()
    members["bundle.json"] = json.dumps(manifest).encode()
    path = tmp_path / "changed.bundle"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("grey", [True, False], ids=["grey", "rgb"])
@pytest.mark.parametrize("quality", [8, 24, 40])
def test_it_gains_at_every_rate(codec, network, picture, quality, grey):
    image = np.ascontiguousarray(picture[..., 1]) if grey else picture
    stream = codec.encode(image, quality=quality)
    linear, better = codec.decode(stream), codec.decode(stream, decoder=network)
    assert better.shape == linear.shape
    assert better.dtype == np.uint8
    assert psnr(image, better) > psnr(image, linear) + 0.1


def test_the_api_is_linear_unless_asked(codec, network, picture):
    stream = codec.encode(picture, quality=20)
    linear = codec.decode(stream, decoder="linear")
    np.testing.assert_array_equal(codec.decode(stream), linear)
    np.testing.assert_array_equal(farlook.decode(stream), linear)
    assert (farlook.decode(stream, decoder="neural") != linear).any()
    assert network.bundle.codec == FAST


def test_what_is_lost_is_repaired(codec, network, kodim):
    packets = split_packets(codec.encode(kodim, bpp=0.25))
    kept = packets[:3] + packets[5:]
    linear, better = codec.decode_lossy(kept), codec.decode_lossy(kept, decoder=network)
    np.testing.assert_array_equal(linear.concealed, better.concealed)
    lost = linear.mask > 0
    assert lost.any()
    assert psnr(kodim[lost], better.image[lost]) > psnr(kodim[lost], linear.image[lost])
    assert psnr(kodim, better.image) > psnr(kodim, linear.image)


@pytest.mark.parametrize("shape", [(1, 1), (7, 90, 3), (129, 8)])
def test_pictures_of_any_size(codec, network, kodim, shape):
    image = np.ascontiguousarray(
        kodim[: shape[0], : shape[1]] if len(shape) == 3 else kodim[: shape[0], : shape[1], 0]
    )
    stream = codec.encode(image, quality=20)
    assert codec.decode(stream, decoder=network).shape == shape


def test_windows_leave_no_seam(codec, network, picture, monkeypatch):
    stream = codec.encode(picture, quality=16)
    whole = codec.decode(stream, decoder=network)
    improve = NeuralDecoder.improve
    monkeypatch.setattr(NeuralDecoder, "improve", lambda *given: improve(*given, core=64))
    in_windows = codec.decode(stream, decoder=network)
    assert np.abs(in_windows.astype(int) - whole).max() <= 1
    assert (in_windows != whole).mean() < 1e-4  # onnxruntime may add in another order


def test_finer_steps_than_it_learned_stay_linear(codec, network, picture):
    stream = codec.encode(picture, quality=95)
    assert "finer" in network.unsuited(first_header(stream))
    np.testing.assert_array_equal(codec.decode(stream, decoder="neural"), codec.decode(stream))


def test_a_region_that_is_too_fine_stays_linear(codec, network, picture):
    finest = GroundCoding.read(network.bundle.coding).steps[0]
    image = np.ascontiguousarray(picture[:256, :256])
    stream = codec.encode(image, quality=48, roi=[(64, 64, 128, 128, 100)])
    assert step_size(first_header(stream).step) > step_size(finest)
    linear, better = codec.decode(stream), codec.decode(stream, decoder=network)
    np.testing.assert_array_equal(better[72:184, 72:184], linear[72:184, 72:184])
    assert (better[:48] != linear[:48]).any()


def test_more_than_8_bits_are_left_to_the_linear_decoder(codec, network, kodim):
    deep = kodim[:64, :64, 0].astype(np.uint16) << 4
    stream = codec.encode(deep, quality=20, depth=12)
    with pytest.raises(UsageError, match=r"8 bits a sample, this one has 12.*linear"):
        codec.decode(stream, decoder="neural")
    np.testing.assert_array_equal(codec.decode(stream, decoder="auto"), codec.decode(stream))
    assert "12" in network.unsuited(first_header(stream))


def test_cut_progressive_streams_gain_too(codec, network, picture):
    stream = codec.encode(picture, quality=40, layout="progressive")
    for part in (len(stream) // 4, len(stream)):
        linear, better = codec.decode(stream[:part]), codec.decode(stream[:part], decoder=network)
        assert psnr(picture, better) > psnr(picture, linear)


def test_streams_of_other_tables_are_refused(codec, tmp_path):
    pytest.importorskip("onnxruntime")
    path = damaged(tmp_path, lambda coding: coding.update(block8="00" * 32))
    with pytest.raises(BundleError, match="of the block8 bundle 00000000"):
        codec.choose_decoder(f"neural:{path}")


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [4]},
        {"steps": [9, 4]},
        {"steps": "none"},
        {"halo": -8},
        {"halo": 12},
        {"halo": 1 << 40},
        {"halo": None},
    ],
    ids=str,
)
def test_damaged_manifests_are_refused(tmp_path, change):
    bundle = Bundle.open(damaged(tmp_path, lambda coding: coding.update(change)))
    with pytest.raises(BundleError, match="decoder for the ground"):
        GroundCoding.read(bundle.coding)


@pytest.mark.parametrize("change", [{"block8": 7}, {"codec": None}], ids=str)
def test_manifests_of_other_types_are_no_bundles(tmp_path, change):
    with pytest.raises(BundleError, match="another type"):
        Bundle.open(damaged(tmp_path, lambda coding: coding.update(change)))


def test_a_codecs_bundle_is_no_decoder(codec):
    with pytest.raises(BundleError, match="no decoder"):
        codec.choose_decoder("neural:block8-paper")


def test_a_decoders_bundle_is_not_among_the_codecs():
    assert FAST in shipped_decoders()
    assert FAST not in shipped_bundles()
    bundle = find_bundle(FAST)
    assert bundle.members().keys() == {"synthesis.onnx"}
    with pytest.raises(BundleError, match=r"no entropy\.json"):
        bundle.entropy()


@pytest.mark.parametrize("choice", ["", "nerual", "neural:", "linear:fast", "auto:fast", ":"])
def test_wrong_choices_are_refused(choice):
    with pytest.raises(UsageError, match="there is no decoder"):
        parse_choice(choice)


def test_choices():
    assert parse_choice("neural") == ("neural", "fast")
    assert parse_choice("neural:best") == ("neural", "best")
    assert parse_choice("neural:a:b.bundle") == ("neural", "a:b.bundle")
    assert parse_choice("linear")[0] == "linear"


def test_auto_is_linear_where_no_backend_runs(picture, monkeypatch):
    def refuse(*_):
        raise MissingExtraError("onnxruntime", "cpu", "to run networks on the CPU")

    monkeypatch.setattr(neural, "open_graphs", refuse)
    codec = farlook.Codec.load("block8", threads=1)
    stream = codec.encode(picture, quality=20)
    np.testing.assert_array_equal(codec.decode(stream, decoder="auto"), codec.decode(stream))
    network, reason = codec.choose_decoder("auto")
    assert network is None
    assert "pip install" in reason
    with pytest.raises(BackendError, match="pip install"):
        codec.decode(stream, decoder="neural")


def test_a_network_that_there_is_not_is_said_with_those_there_are():
    with pytest.raises(UnknownCodecError, match=r"no network 'bets' for block8.*: best, fast, ms-ssim$"):
        farlook.Codec.load("block8").choose_decoder("neural:bets")


def test_an_unknown_backend_is_a_wrong_argument():
    with pytest.raises(UsageError, match="abacus"):
        farlook.Codec.load("block8").choose_decoder("auto", "abacus")


def test_codecs_without_a_choice_of_decoders_say_so(kodim):
    pytest.importorskip("onnxruntime")
    stream = farlook.encode(np.ascontiguousarray(kodim[:32, :32]), "block8-paper")
    with pytest.raises(UsageError, match="decoder is of block8"):
        farlook.decode(stream, decoder="neural")


def test_every_network_ships_and_gains_by_what_it_was_trained_for(codec, network, picture):
    pytest.importorskip("scipy")
    from farlook.benchmarks.metrics import ms_ssim
    from farlook.benchmarks.pictures import luma

    for tune, better, worse in (("psnr", "neural:best", "linear"), ("ms-ssim", "neural:ms-ssim", "neural")):
        stream = codec.encode(picture, bpp=0.2, tune=tune)
        ours, theirs = (codec.decode(stream, decoder=decoder) for decoder in (better, worse))
        if tune == "psnr":
            assert psnr(picture, ours) > psnr(picture, theirs) + 0.2
        else:
            lumas = [luma(image) for image in (picture, ours, theirs)]
            assert ms_ssim(lumas[0], lumas[1]) > ms_ssim(lumas[0], lumas[2])
