"""Metrics, on pictures whose figures are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farlook.benchmarks.metrics import psnr


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
