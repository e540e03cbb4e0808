"""Codecs from pixels to bytes and back, and what damaged streams do."""

from __future__ import annotations

import dataclasses
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.codec import Codec, shared_codec
from farlook.runtime.errors import (
    BackendError,
    BundleError,
    CorruptStreamError,
    FarlookError,
    ImageError,
    TargetError,
    UnknownCodecError,
    UsageError,
)
from farlook.runtime.stream import read_stream, write_stream

SIZES = [(1, 1), (1, 2), (2, 1), (7, 9), (8, 8), (16, 16), (17, 255), (257, 256), (3, 1000)]
QUALITIES = (1, 25, 50, 75, 100)


def psnr(image, reference):
    error = np.mean((image.astype(float) - reference) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.fixture(scope="module")
def small_stream(codec, kodim):
    """A stream of some hundred bytes."""
    return codec.encode(np.ascontiguousarray(kodim[200:232, 300:340]), quality=60)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_pictures_of_any_size_come_back(codec, kodim, grey, size, channels):
    source = (
        np.concatenate([kodim, kodim], axis=1) if channels == "rgb" else np.concatenate([grey, grey], axis=1)
    )
    image = source[100 : 100 + size[0], 300 : 300 + size[1]]
    again = codec.decode(codec.encode(image, quality=100))
    assert again.shape == image.shape
    assert again.dtype == np.uint8
    assert psnr(again, image) > 20


@pytest.mark.parametrize("size", [(16384, 1), (1, 16384), (16384, 9)])
def test_the_longest_pictures_come_back(codec, size):
    image = np.resize(np.arange(256, dtype=np.uint8), size)
    assert codec.decode(codec.encode(image, quality=1)).shape == size


def test_a_picture_may_be_a_view(codec, kodim):
    view = kodim[::-1, 100:20:-1].swapaxes(0, 1)
    assert codec.encode(view) == codec.encode(np.ascontiguousarray(view))


def test_quality_buys_fidelity_with_bytes(codec, kodim):
    streams = [codec.encode(kodim, quality=quality) for quality in QUALITIES]
    sizes = [len(stream) for stream in streams]
    fidelities = [psnr(codec.decode(stream), kodim) for stream in streams]
    assert sizes == sorted(sizes)
    assert fidelities == sorted(fidelities)
    assert sizes[-1] > 4 * sizes[0]
    assert fidelities[0] > 22
    assert fidelities[-1] > 28


def test_quality_50_is_the_default(codec, kodim):
    crop = kodim[:100, :100]
    assert codec.encode(crop) == codec.encode(crop, quality=50)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.95])
def test_a_budget_is_kept_and_used(codec, kodim, share):
    smallest, largest = (len(codec.encode(kodim, quality=quality)) for quality in (1, 100))
    budget = int(smallest + share * (largest - smallest))
    assert 0.9 * budget <= len(codec.encode(kodim, budget=budget)) <= budget


@pytest.mark.parametrize("crop", [(64, 64), (100, 300), (512, 768)])
def test_any_budget_that_can_be_met_is_kept(codec, grey, crop):
    image = grey[: crop[0], : crop[1]]
    smallest = len(codec.encode(image, quality=1))
    for budget in (smallest, smallest + 1, smallest + 40, 2 * smallest, 100 * smallest):
        assert len(codec.encode(image, budget=budget)) <= budget


@pytest.mark.parametrize("bpp", [0.1, 0.15, 0.2, 0.3])
def test_bits_a_pixel_are_kept_and_used(codec, kodim, bpp):
    bits = 8 * len(codec.encode(kodim, bpp=bpp))
    assert 0.9 * bpp * kodim.shape[0] * kodim.shape[1] <= bits <= bpp * kodim.shape[0] * kodim.shape[1]


def test_bits_a_pixel_and_the_same_budget_give_the_same_stream(codec, grey):
    crop = grey[:128, :256]
    assert codec.encode(crop, bpp=0.25) == codec.encode(crop, budget=1024)


def test_a_loose_budget_takes_the_best_quality(codec, grey):
    crop = grey[:64, :64]
    assert codec.encode(crop, budget=1 << 20) == codec.encode(crop, quality=100)


@pytest.mark.parametrize("target", [{"budget": 10}, {"bpp": 0.001}, {"bpp": 1e-9}])
def test_a_target_below_every_size_says_what_would_fit(codec, kodim, target):
    smallest = len(codec.encode(kodim, quality=1))
    with pytest.raises(TargetError, match=f"{smallest} bytes"):
        codec.encode(kodim, **target)


@pytest.mark.parametrize(
    "targets",
    [
        {"quality": 0},
        {"quality": 101},
        {"quality": -1},
        {"quality": 50.0},
        {"bpp": 0},
        {"bpp": -0.2},
        {"bpp": 65},
        {"bpp": float("nan")},
        {"bpp": float("inf")},
        {"budget": 0},
        {"budget": -5},
        {"budget": 1000.5},
        {"quality": 50, "bpp": 0.2},
        {"bpp": 0.2, "budget": 1000},
        {"quality": 50, "budget": 1000, "bpp": 0.2},
    ],
    ids=str,
)
def test_targets_outside_their_range_are_refused(codec, grey, targets):
    with pytest.raises(UsageError):
        codec.encode(grey[:8, :8], **targets)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((8, 8), dtype=np.uint16),
        np.zeros((0, 8), dtype=np.uint8),
        np.zeros((16385, 1), dtype=np.uint8),
    ],
    ids=["alpha", "16 bits", "empty", "too long"],
)
def test_what_is_no_picture_is_refused(codec, image):
    with pytest.raises(ImageError):
        codec.encode(image)


def test_an_unknown_codec_or_backend_is_refused():
    with pytest.raises(UnknownCodecError):
        Codec.load("block99")
    with pytest.raises(UsageError):
        Codec.load("block8-paper", backend="abacus")


def test_a_bundle_with_a_graph_that_is_no_graph_is_a_backend_error(shipped, monkeypatch):
    monkeypatch.setattr("farlook.runtime.bundle.Bundle.graph", lambda *_: b"no graph")
    with pytest.raises(BackendError, match="analysis"):
        Codec.load(shipped)


def test_the_same_picture_gives_the_same_bytes(codec, kodim):
    assert codec.encode(kodim) == codec.encode(kodim)


def test_the_number_of_threads_changes_nothing(codec, kodim):
    other = Codec.load("block8-paper", threads=2)
    for quality in (30, 90):
        stream = codec.encode(kodim, quality=quality)
        assert other.encode(kodim, quality=quality) == stream
        np.testing.assert_array_equal(other.decode(stream), codec.decode(stream))


def test_one_codec_serves_several_threads(codec, kodim):
    crops = [np.ascontiguousarray(kodim[top : top + 100, :300]) for top in range(0, 400, 100)]
    expected = [codec.encode(crop) for crop in crops]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(codec.encode, crops)) == expected


@pytest.mark.parametrize("value", [0, 1, 77, 128, 254, 255])
def test_a_flat_picture_is_small_and_exact(codec, value):
    """Nothing varies: about a bit a block and a bit for each four flags are left of it."""
    image = np.full((512, 512), value, dtype=np.uint8)
    stream = codec.encode(image)
    assert 8 * len(stream) / image.size < 0.025
    assert np.abs(codec.decode(stream).astype(int) - value).max() <= 2


def test_noise_comes_back_in_its_mean(codec):
    noise = np.random.default_rng(8).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    again = codec.decode(codec.encode(noise, quality=100))
    assert abs(again.mean() - noise.mean()) < 6


def test_tiles_leave_no_seam(codec):
    """A ramp over four tiles stays a ramp across their borders."""
    ramp = (np.add.outer(np.arange(300), np.arange(300)) / 3 + 20).astype(np.uint8)
    error = np.abs(codec.decode(codec.encode(ramp, quality=100)).astype(int) - ramp)
    border, inside = error[250:262].mean(), error[100:200].mean()
    assert border < inside + 2


def test_a_stream_of_another_bundle_is_refused_and_both_are_named(codec, make_bundle, grey):
    def coarser(manifest):
        manifest["coding"]["quantiser"]["chroma_ratio"] = 0.75

    other = Codec.load(make_bundle(coarser))
    stream = other.encode(grey[:16, :16])
    assert other.decode(stream).shape == (16, 16)
    with pytest.raises(BundleError) as caught:
        codec.decode(stream)
    assert other.bundle.digest[:4].hex() in str(caught.value)
    assert codec.bundle.digest[:4].hex() in str(caught.value)


def test_every_cut_of_a_stream_is_refused(codec, small_stream):
    for size in range(len(small_stream)):
        with pytest.raises(FarlookError):
            codec.decode(small_stream[:size])


def test_every_flipped_bit_of_a_stream_is_refused(codec, small_stream):
    for position in range(len(small_stream)):
        damaged = bytearray(small_stream)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(FarlookError):
            codec.decode(bytes(damaged))


@given(st.data())
def test_payloads_that_pass_their_checksum_decode_or_are_refused(codec, small_stream, data):
    header, (payload,) = read_stream(small_stream)
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    quality = data.draw(st.integers(1, 100))
    stream = write_stream(dataclasses.replace(header, quality=quality), [bytes(damaged)])
    try:
        assert codec.decode(stream).shape == (header.height, header.width, 3)
    except CorruptStreamError:
        return


@pytest.mark.parametrize(
    "change",
    [
        {"bit_depth": 12},
        {"bit_depth": 16},
        {"tile_log2": 5},
        {"tile_log2": 10},
        {"tile_log2": 14},
        {"bands": 1},
    ],
    ids=str,
)
def test_headers_that_contradict_the_bundle_or_the_payload_are_refused(codec, small_stream, change):
    header, payloads = read_stream(small_stream)
    with pytest.raises(FarlookError):
        codec.decode(write_stream(dataclasses.replace(header, **change), payloads))


def test_a_few_bytes_cannot_make_the_decoder_take_gigabytes(codec, small_stream):
    """One pixel in a tile of 1024 x 1024: a tile is as large as the bundle says."""
    header, _ = read_stream(small_stream)
    hostile = write_stream(dataclasses.replace(header, width=1, height=1, tile_log2=10), [bytes(4)])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptStreamError):
            codec.decode(hostile)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_codecs_are_opened_once():
    assert shared_codec("block8-paper") is shared_codec("block8-paper")
