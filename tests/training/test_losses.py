from __future__ import annotations

import pytest
import torch

from farlook.benchmarks.metrics import ms_ssim as reported_ms_ssim
from farlook.models.gains import tradeoff
from farlook.models.losses import is_textured, mrdcae_loss, rate_distortion
from farlook.models.neural import Coded
from farlook.models.similarity import gradient_error, ms_ssim, ssim


@pytest.fixture
def image():
    ramp = torch.linspace(0, 1, 192).repeat(192, 1)
    return torch.stack((ramp, ramp.T, 1 - ramp))[None] * 0.8 + 0.1


def coded(image, bits):
    return Coded(image, {"y": torch.full((len(image),), float(bits))}, {}, {})


def test_rate_distortion_adds_bits_per_pixel_and_weighed_error(image):
    level = torch.tensor([0.5])
    loss = rate_distortion(coded(image + 0.01, 192 * 192 * 0.7), image, level)
    assert float(loss) == pytest.approx(0.7 + float(tradeoff(level)) * 255**2 * 1e-4, rel=1e-3)


def test_identical_pictures_are_alike(image):
    assert torch.allclose(ssim(image, image), torch.ones_like(image), atol=1e-4)
    assert float(ms_ssim(image, image)) == pytest.approx(1, abs=1e-4)
    assert not gradient_error(image, image).any()


def test_ms_ssim_is_near_the_one_that_is_reported(image):
    grey = image[:, :1]
    noisy = (grey + 0.05 * torch.randn(grey.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    pair = [(part[0, 0] * 255).round().byte().numpy() for part in (grey, noisy)]
    assert float(ms_ssim(grey, noisy)) == pytest.approx(reported_ms_ssim(*pair), abs=0.02)


def test_a_lost_edge_costs_more_than_its_squared_error(image):
    edge = image.clone()
    edge[..., 96:] += 0.1
    smooth = image + 0.1 * 2**-0.5
    assert float((edge - image).square().mean()) == pytest.approx(float((smooth - image).square().mean()))
    assert gradient_error(edge, image).mean() > gradient_error(smooth, image).mean()


def test_mrdcae_switches_its_loss_by_complexity(image):
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    picture = torch.cat((noise, torch.full((1, 3, 64, 64), 0.5)), dim=-1)
    assert is_textured(picture)[0, 0].tolist() == [[True, True, False, False]] * 2
    level = torch.tensor([0.5])
    flat, rich = picture.clone(), picture.clone()
    flat[..., 70:120] += 0.05
    rich[..., 6:56] += 0.05
    losses = [float(mrdcae_loss(coded(one, 0), picture, level)) for one in (flat, rich)]
    assert losses[0] == pytest.approx(0.05**2 * 50 / 128, rel=0.05)
    assert losses[1] != pytest.approx(losses[0], rel=0.1)
