"""Metrics, on pictures whose figures are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farlook.benchmarks.metrics import ms_ssim, psnr, ssim
from farlook.runtime.errors import UsageError


def test_equal_pictures_are_infinitely_near(kodim):
    assert psnr(kodim, kodim.copy()) == math.inf


@pytest.mark.parametrize(("error", "expected"), [(255, 0.0), (1, 48.1308), (16, 24.0484), (51, 13.9794)])
@pytest.mark.parametrize("shape", [(8, 8), (5, 7, 3)])
def test_a_constant_error_has_a_known_psnr(shape, error, expected):
    black = np.zeros(shape, np.uint8)
    assert psnr(black, black + np.uint8(error)) == pytest.approx(expected, abs=1e-4)


def test_it_is_symmetric_and_does_not_wrap_around():
    black, white = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert psnr(black, white) == psnr(white, black) == 0


def test_all_bands_count_alike():
    original, one_band_off = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    one_band_off[..., 1] = 3
    assert psnr(original, one_band_off) == pytest.approx(10 * math.log10(255**2 / 3))


def test_more_noise_is_less_psnr(grey):
    noise = np.random.default_rng(1).normal(size=grey.shape)
    figures = [psnr(grey, np.clip(grey + sigma * noise, 0, 255).astype(np.uint8)) for sigma in (1, 4, 16, 64)]
    assert figures == sorted(figures, reverse=True)


@pytest.fixture(scope="module")
def piece(grey):
    """A piece of the photograph that MS-SSIM takes: 240 x 192 pixels."""
    return np.ascontiguousarray(grey[180:372, 240:480])


def test_ms_ssim_of_equal_pictures_is_1(piece):
    assert ms_ssim(piece, piece.copy()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("x", "y"), [(100, 110), (10, 200), (0, 255)])
def test_ms_ssim_of_flat_pictures_is_their_luminance_term_at_the_last_scale(x, y):
    flat, other = np.full((176, 180), x, np.uint8), np.full((176, 180), y, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = ((2 * x * y + c1) / (x * x + y * y + c1)) ** 0.1333
    assert ms_ssim(flat, other) == pytest.approx(expected, rel=1e-9)


def test_ms_ssim_weighs_contrast_by_scale(piece):
    # Around its local mean y is half of x, as nearly as 8 bits allow: contrast (2/2) / (1 + 1/4) = 0.8.
    noise = np.random.default_rng(1).integers(-60, 61, (256, 256))
    x, y = (128 + noise).astype(np.uint8), (128 + noise / 2).round().astype(np.uint8)
    one, four = ms_ssim(x, y), ms_ssim(*(np.kron(plane, np.ones((4, 4), np.uint8)) for plane in (x, y)))
    assert 0.75 < one < 0.95
    assert four < one, "coarse differences weigh more than those that vanish in the first scales"


def test_ms_ssim_is_symmetric_and_0_for_a_negative(piece):
    noisy = np.clip(piece + np.random.default_rng(2).normal(0, 20, piece.shape), 0, 255).astype(np.uint8)
    assert ms_ssim(piece, noisy) == pytest.approx(ms_ssim(noisy, piece))
    assert 0.5 < ms_ssim(piece, noisy) < 1
    assert ms_ssim(piece, 255 - piece) == 0


@pytest.mark.parametrize("shape", [(175, 300), (300, 175), (200, 200, 3)])
def test_ms_ssim_says_what_it_cannot_compare(shape):
    picture = np.zeros(shape, np.uint8)
    with pytest.raises(UsageError, match="176"):
        ms_ssim(picture, picture)


def test_ms_ssim_wants_equal_shapes():
    with pytest.raises(UsageError, match="one shape"):
        ms_ssim(np.zeros((200, 200), np.uint8), np.zeros((200, 201), np.uint8))


def test_ssim_is_1_for_equal_pictures_and_falls_with_noise(grey):
    noise = np.random.default_rng(1).normal(0, 1, grey.shape)
    values = [ssim(grey, np.clip(grey + size * noise, 0, 255).astype(np.uint8)) for size in (0, 5, 20, 60)]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert 0 < values[-1] < 0.4


def test_ssim_of_flat_pictures_is_its_luminance_term():
    a, b = np.full((20, 30), 100, np.uint8), np.full((20, 30), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))


@pytest.mark.parametrize(
    "shapes", [((10, 20), (10, 20)), ((20, 20), (20, 21)), ((20, 20, 3), (20, 20, 3))], ids=str
)
def test_ssim_refuses_what_it_cannot_compare(shapes):
    with pytest.raises(UsageError, match="SSIM"):
        ssim(*(np.zeros(shape, np.uint8) for shape in shapes))
