"""Neural codecs from pixels to bytes and back, and what damaged streams do."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import farlook
from farlook.runtime.errors import (
    BundleError,
    CorruptStreamError,
    FarlookError,
    ImageError,
    StreamError,
    TargetError,
    UsageError,
)
from farlook.runtime.stream import read_stream, write_stream

SIZES = [(1, 1), (1, 2), (7, 9), (16, 16), (17, 255), (257, 256), (3, 1000)]


def psnr(image, reference):
    error = np.mean((image.astype(float) - reference) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.fixture(scope="module")
def small_stream(standin, kodim):
    """A stream of some hundred bytes."""
    return standin.encode(np.ascontiguousarray(kodim[200:232, 300:340]), quality=60)


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_pictures_of_any_size_come_back(standin, kodim, grey, size, channels):
    source = kodim if channels == "rgb" else grey
    source = np.concatenate([source, source], axis=1)
    image = source[100 : 100 + size[0], 300 : 300 + size[1]]
    again = standin.decode(standin.encode(image, quality=100))
    assert again.shape == image.shape
    assert again.dtype == np.uint8
    assert psnr(again, image) > 20


def test_quality_buys_fidelity_with_bytes(standin, kodim):
    streams = [standin.encode(kodim, quality=quality) for quality in (1, 30, 60, 100)]
    sizes = [len(stream) for stream in streams]
    fidelities = [psnr(standin.decode(stream), kodim) for stream in streams]
    assert sizes == sorted(sizes)
    assert fidelities == sorted(fidelities)
    assert sizes[-1] > 4 * sizes[0]


def test_a_stream_says_the_quality_that_makes_it(standin, kodim):
    image = kodim[:64, :64]
    for quality in (1, 37, 50, 99, 100):
        stream = standin.encode(image, quality=quality)
        said = farlook.info(stream).quality
        assert abs(said - quality) <= 4
        assert standin.encode(image, quality=int(said)) == stream
    assert standin.encode(image) == standin.encode(image, quality=50)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_budget_is_kept_and_used(standin, kodim, share):
    smallest, largest = (len(standin.encode(kodim, quality=quality)) for quality in (1, 100))
    budget = int(smallest + share * (largest - smallest))
    assert 0.88 * budget <= len(standin.encode(kodim, budget=budget)) <= budget


def test_bits_a_pixel_and_the_same_budget_give_the_same_stream(standin, kodim):
    crop = kodim[:128, :256]
    assert standin.encode(crop, bpp=0.25) == standin.encode(crop, budget=1024)


def test_a_target_below_every_size_says_what_would_fit(standin, kodim):
    smallest = len(standin.encode(kodim, quality=1))
    with pytest.raises(TargetError, match=f"{smallest} bytes"):
        standin.encode(kodim, budget=10)


@pytest.mark.parametrize(
    "targets", [{"quality": 0}, {"quality": 50.5}, {"bpp": 0}, {"quality": 5, "bpp": 1}], ids=str
)
def test_targets_outside_their_range_are_refused(standin, grey, targets):
    with pytest.raises(UsageError):
        standin.encode(grey[:8, :8], **targets)


def test_what_is_no_picture_is_refused(standin):
    with pytest.raises(ImageError):
        standin.encode(np.zeros((8, 8, 4), dtype=np.uint8))


def test_the_number_of_threads_changes_nothing(standin, standin_path, kodim):
    other = farlook.Codec.load(standin_path, threads=2)
    stream = standin.encode(kodim, quality=60)
    assert other.encode(kodim, quality=60) == stream
    np.testing.assert_array_equal(other.decode(stream), standin.decode(stream))


def test_one_codec_serves_several_threads(standin, kodim):
    crops = [np.ascontiguousarray(kodim[top : top + 100, :300]) for top in range(0, 400, 100)]
    expected = [standin.encode(crop) for crop in crops]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(standin.encode, crops)) == expected


def test_a_flat_picture_is_small(standin):
    stream = standin.encode(np.full((512, 512, 3), 90, dtype=np.uint8))
    assert 8 * len(stream) / 512**2 < 0.05
    assert np.abs(standin.decode(stream).astype(int) - 90).max() <= 4


def test_gates_save_bytes(standin, make_bundle, kodim):
    """With a table that keeps all channels everywhere the same picture takes more."""

    def open_gates(manifest):
        manifest["coding"]["latents"][1]["gate"]["table"] = [24] * 4

    image = kodim[:256, :256]
    other = farlook.Codec.load(make_bundle(open_gates))
    assert len(standin.encode(image, quality=90)) < len(other.encode(image, quality=90))


def test_tiles_decode_alone(standin, kodim):
    """A tile's symbols do not depend on other tiles' payloads."""
    header, payloads = read_stream(standin.encode(kodim, quality=40))
    whole = standin.symbols(write_stream(header, payloads))[1]["y"]
    others = [payload if index == 4 else payloads[0] for index, payload in enumerate(payloads)]
    try:
        alone = standin.symbols(write_stream(header, others))[1]["y"]
    except CorruptStreamError:
        pytest.skip("tiles of another size")
    np.testing.assert_array_equal(alone[:, 32:64, 32:64], whole[:, 32:64, 32:64])


def test_a_stream_of_another_bundle_is_refused_and_both_are_named(standin, make_bundle, grey):
    other = farlook.Codec.load(make_bundle(lambda manifest: manifest["coding"].update(levels=30)))
    stream = other.encode(grey[:16, :16])
    with pytest.raises(BundleError) as caught:
        standin.decode(stream)
    assert other.bundle.digest[:4].hex() in str(caught.value)
    assert standin.bundle.digest[:4].hex() in str(caught.value)


def test_an_analysis_that_breaks_its_gates_is_a_bundle_error(make_bundle, kodim):
    def short(manifest):
        manifest["coding"]["latents"][1]["gate"]["table"] = [3, 24]

    with pytest.raises(BundleError, match="no gate is for"):
        farlook.Codec.load(make_bundle(short)).encode(kodim)


def test_every_cut_of_a_stream_is_refused(standin, small_stream):
    for size in range(len(small_stream)):
        with pytest.raises(FarlookError):
            standin.decode(small_stream[:size])


def test_every_flipped_bit_of_a_stream_is_refused(standin, small_stream):
    for position in range(len(small_stream)):
        damaged = bytearray(small_stream)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(FarlookError):
            standin.decode(bytes(damaged))


@given(st.data())
def test_payloads_that_pass_their_checksum_decode_or_are_refused(standin, small_stream, data):
    header, (payload,) = read_stream(small_stream)
    if data.draw(st.booleans()):
        payload = data.draw(st.binary(max_size=300))
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    quality = data.draw(st.integers(1, 100))
    stream = write_stream(dataclasses.replace(header, quality=quality), [bytes(damaged)])
    try:
        assert standin.decode(stream).shape == (header.height, header.width, 3)
    except StreamError:
        return


@pytest.mark.parametrize(
    "change", [{"bit_depth": 12}, {"tile_log2": 5}, {"tile_log2": 10}, {"codec": "fera"}], ids=str
)
def test_headers_that_contradict_the_bundle_are_refused(standin, small_stream, change):
    header, payloads = read_stream(small_stream)
    with pytest.raises(FarlookError):
        standin.decode(write_stream(dataclasses.replace(header, **change), payloads))


def test_a_few_bytes_cannot_make_the_decoder_take_more_than_a_picture(standin, small_stream):
    header, _ = read_stream(small_stream)
    hostile = write_stream(dataclasses.replace(header, width=256, height=256), [b"\x07" * 5])
    tracemalloc.start()
    try:
        with pytest.raises(CorruptStreamError):
            standin.decode(hostile)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_golden_streams_decode_to_the_same_symbols(standin, vectors):
    digests = json.loads((vectors / "symbols.json").read_text(encoding="utf-8"))
    for name, expected in digests.items():
        stream = (vectors / f"{name}.flk").read_bytes()
        header, symbols = standin.symbols(stream)
        assert digest(standin, symbols) == expected
        coded = np.zeros((header.height, header.width, 3), np.uint8)
        assert (
            standin.stream(coded if header.bands == 3 else coded[..., 0], header.quality, symbols) == stream
        )
        assert standin.decode(stream).shape[:2] == (header.height, header.width)


def digest(codec, symbols):
    import hashlib

    parts = (symbols[latent.name].astype("<i2").tobytes() for latent in codec.coding.latents)
    return hashlib.sha256(b"".join(parts)).hexdigest()
