"""Crops coded by block8 for the ground's decoder: what it is given is what a decoder would have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import farlook
from farlook.kernels.block8 import Core, Geometry, step_size
from farlook.kernels.block8_tables import Tables
from farlook.models.ground_data import (
    WIDE,
    DrawConfig,
    Loss,
    code_batch,
    code_crop,
    grey_of,
    lost_units,
)
from farlook.runtime.bundle import find_bundle


@pytest.fixture(scope="module")
def core():
    return Core(Tables.unpack(find_bundle("block8").tables()))


@pytest.fixture
def crops():
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(3, 3, 16, 16, generator=generator)
    return torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")


def test_a_crop_is_coded_as_the_codec_codes_it(core):
    ramp = np.add.outer(np.arange(96), 2 * np.arange(96)).astype(np.uint8)
    found = code_crop(core, ramp, 400, None, np.random.default_rng(0))
    assert found.image.shape == (96, 96)
    assert found.latents.shape == (64, 12, 12)
    assert not found.lost.any()
    np.testing.assert_allclose(found.step, step_size(400))
    quality = 1 + (681 - 400) * 99 / 617
    codec = farlook.Codec.load("block8", threads=1)
    stream = codec.encode(ramp, quality=quality, interleave=False)
    np.testing.assert_array_equal(found.image, codec.decode(stream))


def test_a_crop_is_tuned_as_the_codec_tunes_it(core):
    rng = np.random.default_rng(8)
    crop = rng.integers(0, 256, (128, 128)).astype(np.uint8)
    crop[:, :64] = 120 + rng.integers(0, 8, (128, 64))
    found = code_crop(core, crop, 100, None, rng, "ms-ssim")
    high = np.arange(64) // 8 >= 4
    assert not found.latents[high].any()
    assert found.step[:, -1].max() == pytest.approx(step_size(100), rel=0.15)
    assert found.step[:, 0].max() < 0.8 * step_size(100)
    quality = 1 + (681 - 100) * 99 / 617
    codec = farlook.Codec.load("block8", threads=1)
    stream = codec.encode(crop, quality=quality, interleave=False, tune="ms-ssim")
    np.testing.assert_array_equal(found.image, codec.decode(stream))


def test_what_is_lost_has_no_latents_but_its_mean(core):
    noise = np.random.default_rng(2).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    loss = Loss(0.5, 3, interleaved=True)
    found = code_crop(core, noise, 380, loss, np.random.default_rng(3))
    latents, lost = found.latents, found.lost
    assert lost.any()
    assert not lost.all()
    assert not latents[1:, lost].any()
    assert latents[1:, ~lost].any()


def test_losses_come_in_packets():
    geometry = Geometry(192, 192, 1, 8)
    rng = np.random.default_rng(4)
    shares = [lost_units(geometry, Loss(0.3, 12, interleaved=True), rng).mean() for _ in range(300)]
    assert 0.25 < np.mean(shares) < 0.35
    assert not lost_units(geometry, Loss(0.0, 12, interleaved=False), rng).any()
    assert lost_units(geometry, Loss(1.0, 12, interleaved=False), rng).all()
    rows = [
        lost_units(geometry, Loss(0.5, WIDE, interleaved=False), rng).reshape(6, 6).all(axis=1).any()
        for _ in range(50)
    ]
    assert any(rows)  # packets of whole rows take whole rows


def test_batches_follow_from_the_generator(core, crops):
    config = DrawConfig(lossy=0.5)
    first, again = (code_batch(core, crops, config, torch.Generator().manual_seed(5)) for _ in range(2))
    for name in ("image", "latents", "step", "lost", "target"):
        torch.testing.assert_close(getattr(first, name), getattr(again, name))
    assert first.image.shape == first.target.shape == (3, 3, 128, 128)
    assert first.latents.shape == (3, 64, 16, 16)
    assert first.step.shape == first.lost.shape == (3, 1, 16, 16)
    low, high = (step_size(index) for index in config.steps)
    assert low <= float(first.step.min()) <= float(first.step.max()) <= high
    assert float((first.image - first.target).square().mean()) < 1000
    moved = first.to(torch.device("cpu"))
    torch.testing.assert_close(moved.image, first.image)


def test_grey_crops_have_three_equal_planes(core, crops):
    batch = code_batch(core, crops, DrawConfig(grey=1.0), torch.Generator().manual_seed(6))
    for planes in (batch.image, batch.target):
        torch.testing.assert_close(planes[:, 0], planes[:, 1])
        torch.testing.assert_close(planes[:, 0], planes[:, 2])


def test_grey_is_pillows():
    colours = np.random.default_rng(7).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_array_equal(grey_of(colours), np.asarray(Image.fromarray(colours).convert("L")))
