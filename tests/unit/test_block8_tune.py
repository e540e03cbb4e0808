"""Tuning for MS-SSIM: what is left out, where steps are finer, and that every decoder reads it."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from farlook.benchmarks.metrics import ms_ssim, psnr
from farlook.kernels.block8 import Coefficients, step_size
from farlook.runtime.block8 import codec as codec_module
from farlook.runtime.block8.latents import luma_latents, unit_steps
from farlook.runtime.block8.stream import read_stream, split_packets
from farlook.runtime.block8.tune import _EDGES, TUNES, finer_by_contrast, tuned
from farlook.runtime.errors import UsageError

TUNE = {"tune": "ms-ssim"}


@pytest.fixture(scope="module")
def half_flat():
    """Noise on the left, little of it on the right: uint8 [96, 192], 3 x 6 units, whose third column is mixed."""
    picture = np.random.default_rng(3).integers(125, 131, (96, 192), dtype=np.uint8)
    picture[:, :80] = np.random.default_rng(4).integers(0, 256, (96, 80), dtype=np.uint8)
    return picture


@pytest.fixture(scope="module")
def read(block8):
    """A maker of a stream's header, packets and coefficients."""

    def read(stream):
        header, packets = read_stream(stream)
        coefficients = Coefficients(header.geometry)
        block8._core.decode(
            header.geometry, packets, coefficients, has_finer=header.has_finer, interleaved=header.interleaved
        )
        return header, packets, coefficients

    return read


def high(coefficients):
    """Luma's latents above half the highest frequency, either way."""
    grid = luma_latents(coefficients).reshape(8, 8, -1)
    return np.concatenate([grid[4:].ravel(), grid[:4, 4:].ravel()])


@pytest.mark.parametrize("target", [{"quality": 40}, {"bpp": 0.3}, {"layout": "progressive"}], ids=str)
def test_psnr_is_the_stream_without_an_option(block8, kodim, target):
    assert block8.encode(kodim, tune="psnr", **target) == block8.encode(kodim, **target)


@pytest.mark.parametrize("target", [{"quality": 60}, {"budget": 9000}], ids=str)
def test_high_frequencies_of_luma_are_left_out(block8, kodim, read, target):
    assert not high(read(block8.encode(kodim, **TUNE, **target))[2]).any()
    assert high(read(block8.encode(kodim, **target))[2]).any()


def test_chroma_keeps_its_high_frequencies(block8, read):
    stripes = np.full((64, 64, 3), 128, np.uint8)
    stripes[:, ::4, 0], stripes[:, 2::4, 0] = 200, 60
    coefficients = read(block8.encode(stripes, quality=90, **TUNE))[2]
    luma = np.prod(coefficients.geometry.blocks(0))
    places = [
        coefficients.entries[start : start + count] >> 16
        for start, count in zip(coefficients.starts[luma:], coefficients.counts[luma:], strict=True)
    ]
    assert any(((place & 4) | (place >> 5 & 4)).any() for place in places)


def test_little_contrast_makes_steps_finer(block8, half_flat, read):
    finer = finer_by_contrast(block8._job(half_flat)).reshape(3, 6)
    assert finer.dtype == np.uint8
    assert not finer[:, :2].any()
    assert ((finer[:, 2] > 0) & (finer[:, 2] < finer[:, 3])).all()
    assert (finer[:, 4:] == 64).all()
    header, packets, coefficients = read(block8.encode(half_flat, quality=90, **TUNE))
    assert header.has_finer
    steps = unit_steps(coefficients, header, packets).reshape(3, 6)
    # Told by the least latent, rounded: not by every unit.
    assert steps[:, 0].min() == pytest.approx(step_size(header.step), rel=0.2)
    assert steps[:, 5].min() == pytest.approx(step_size(header.step - 64), rel=0.2)


def test_a_picture_alike_everywhere_has_one_step(block8):
    picture = np.full((64, 96), 90, np.uint8)
    assert not read_stream(block8.encode(picture, **TUNE))[0].has_finer


def test_edges_count_what_is_inside_alone(block8):
    noise = np.random.default_rng(5).integers(0, 256, (128, 160), dtype=np.uint8)
    finer = finer_by_contrast(block8._job(np.ascontiguousarray(noise[:72, :104]))).reshape(3, 4)
    assert not finer.any()


def test_regions_come_on_top(block8, half_flat, read):
    region = (160, 0, 32, 32, 128)  # by 224, where contrast gives 64: more than fits a byte
    job, plain = (tuned(block8._job(half_flat, roi=roi), "ms-ssim") for roi in ([region], []))
    assert (job.finer[5], plain.finer[5]) == (255, 64)
    np.testing.assert_array_equal(np.delete(job.finer, 5), np.delete(plain.finer, 5))
    without, both = (block8.encode(half_flat, quality=30, roi=roi, **TUNE) for roi in ([], [region]))
    assert len(both) > len(without)
    assert not high(read(both)[2]).any()


def test_deeper_samples_have_the_same_map(block8, half_flat):
    deep = half_flat.astype(np.uint16) << 4
    np.testing.assert_array_equal(
        finer_by_contrast(block8._job(deep, depth=12)), finer_by_contrast(block8._job(half_flat))
    )
    decoded = block8.decode(block8.encode(deep, depth=12, quality=80, **TUNE))
    assert (decoded.dtype, decoded.shape) == (np.uint16, deep.shape)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (33, 1), (7, 9, 3)], ids=str)
def test_pictures_smaller_than_a_unit(block8, shape):
    picture = np.random.default_rng(6).integers(0, 256, shape, dtype=np.uint8)
    for target in ({"quality": 50}, {"budget": 600}):
        assert block8.decode(block8.encode(picture, **target, **TUNE)).shape == shape


@pytest.mark.parametrize("target", [{"quality": 30}, {"budget": 6000}], ids=str)
def test_bytes_do_not_depend_on_threads_nor_on_memory(block8, kodim, target):
    stream = block8.encode(kodim, threads=1, **target, **TUNE)
    assert block8.encode(kodim, threads=3, **target, **TUNE) == stream
    buffer = bytearray(len(stream))
    assert block8.encode_into(kodim, buffer, **target, **TUNE) == len(stream)
    assert bytes(buffer) == stream


@pytest.mark.parametrize("target", [{"quality": 30}, {"bpp": 0.2}], ids=str)
def test_frames_transformed_elsewhere_give_the_same_bytes(block8, kodim, monkeypatch, target):
    job = block8._job(kodim)
    store = job.store_rows(0, job.geometry.units_y, job.settings(0))
    monkeypatch.setattr(codec_module, "is_device_array", lambda image: isinstance(image, SimpleNamespace))
    monkeypatch.setattr(codec_module, "store_of", lambda image: (job.geometry, store))
    assert block8.encode(SimpleNamespace(), **target, **TUNE) == block8.encode(kodim, **target, **TUNE)


def test_every_way_of_decoding_reads_it(block8, kodim):
    stream = block8.encode(kodim, bpp=0.2, mtu=500, **TUNE)
    picture = block8.decode(stream)
    np.testing.assert_array_equal(block8.decode(stream, threads=1), picture)
    packets = split_packets(stream)
    whole = block8.decode_lossy(packets[::-1])
    np.testing.assert_array_equal(whole.image, picture)
    lossy = block8.decode_lossy(packets[:3] + packets[4:])
    assert not whole.concealed.any()
    assert lossy.concealed.any()
    assert psnr(kodim, lossy.image) > 20


@pytest.mark.parametrize("target", [1500, 4000, 12000])
def test_budgets_are_kept_and_filled(block8, kodim, target):
    for options in ({"budget": target}, {"bpp": 8 * target / (512 * 768)}):
        assert 0.95 * target < len(block8.encode(kodim, **options, **TUNE)) <= target


def test_budgets_of_large_pictures_are_kept(block8, grey, read):
    large = np.tile(grey, (4, 3))  # 2304 x 2048 pixels: coded slice by slice
    stream = block8.encode(large, budget=40000, **TUNE)
    assert 0.95 * 40000 < len(stream) <= 40000
    assert not high(read(stream)[2]).any()


@pytest.mark.parametrize("bpp", [0.1, 0.15, 0.2])
def test_ms_ssim_rises_and_psnr_falls(block8, grey, bpp):
    plain, tuned = (block8.decode(block8.encode(grey, bpp=bpp, tune=tune)) for tune in TUNES)
    assert 1 - ms_ssim(grey, tuned) < 0.95 * (1 - ms_ssim(grey, plain))
    assert psnr(grey, tuned) < psnr(grey, plain) - 1


@pytest.mark.parametrize("tune", ["ssim", "", None])
def test_an_unknown_tune_is_an_error(block8, half_flat, tune):
    with pytest.raises(UsageError, match=r"there is no tune .*; choose one of: psnr, ms-ssim"):
        block8.encode(half_flat, tune=tune)


@pytest.mark.parametrize("target", [{}, {"budget": 900}], ids=str)
def test_progressive_streams_are_not_tuned(block8, half_flat, target):
    with pytest.raises(UsageError, match="tune ms-ssim needs the layout tiles"):
        block8.encode(half_flat, layout="progressive", **TUNE, **target)


def test_edges_of_contrast_are_the_same_on_every_machine():
    assert (
        hashlib.sha256(_EDGES.astype("<i8").tobytes()).hexdigest()
        == "8205edc0693f3215174d04ac9c6c339d8ca628564e3f0fdc17550750faff1f53"
    )


def test_nothing_is_transformed_before_the_arguments_are_checked(block8, kodim, monkeypatch):
    monkeypatch.setattr(codec_module, "tuned", lambda *_: pytest.fail("tuned"))
    for wrong in ({"layout": "progressive"}, {"layout": "rings"}, {"bpp": 0.2, "quality": 3}):
        with pytest.raises(UsageError):
            block8.encode(kodim, **wrong, **TUNE)
