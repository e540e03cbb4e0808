"""The network of the ground's decoder: it begins as nothing, is small enough, and looks no farther than it says."""

from __future__ import annotations

import pytest
import torch

from farlook.export.reach import measure_reach
from farlook.models.ground import SIZES, GroundConfig, GroundDecoder
from farlook.models.ground_bundle import _example
from farlook.runtime.errors import UsageError

SMALL = GroundConfig(width=8, depth=1, wide=8, wide_depth=1)


def lively(config=SMALL):
    """A network whose tails say something."""
    torch.manual_seed(3)
    network = GroundDecoder(config).eval()
    for tail in (network.tail, network.wide_tail):
        torch.nn.init.normal_(tail.weight, std=0.05)
    return network


def test_it_begins_as_the_linear_decoder():
    image, latents, step, lost = _example(2, 48, 64)
    with torch.no_grad():
        found = GroundDecoder(SMALL)(image, latents, step, lost)
    torch.testing.assert_close(found, image)


def test_fast_keeps_within_20_kmac_a_pixel():
    assert 15_000 < GroundDecoder(SIZES["fast"]).macs() <= 20_000
    assert GroundDecoder(SIZES["best"]).macs() > 40_000


def test_its_transforms_are_orthonormal():
    spectrum = GroundDecoder(SMALL).spectrum
    luma = spectrum[:64].sum(1).reshape(64, 64)
    torch.testing.assert_close(luma @ luma.T, torch.eye(64), atol=1e-5, rtol=0)
    grey = torch.full((1, 3, 8, 8), 10.0)
    found = torch.nn.functional.conv2d(grey, spectrum, stride=8).flatten()
    assert found[0] == pytest.approx(80, abs=1e-3)
    assert found[1:].abs().max() < 1e-3  # and no colour


def test_low_frequencies_come_back_as_they_were():
    network = GroundDecoder(SMALL)
    low = torch.randn(1, 24, 2, 2, generator=torch.Generator().manual_seed(4))
    picture = torch.nn.functional.pixel_shuffle(torch.nn.functional.conv2d(low, network.waves), 8)
    spectrum = torch.nn.functional.conv2d(picture, network.spectrum, stride=8)
    luma = spectrum[:, :64].reshape(1, 8, 8, 2, 2)
    torch.testing.assert_close(luma[:, :4, :4].reshape(1, 16, 2, 2), low[:, :16], atol=1e-4, rtol=0)
    assert luma[:, 4:].abs().max() < 1e-4
    chroma = spectrum[:, 64:].reshape(1, 2, 4, 4, 2, 2)[:, :, :2, :2]
    torch.testing.assert_close(chroma.reshape(1, 8, 2, 2), low[:, 16:], atol=1e-4, rtol=0)


def test_a_correction_is_in_steps():
    """At twice the step, of twice the picture and latents, the correction is twice as large."""
    network = lively()
    image, latents, step, lost = _example(1, 64, 64)
    with torch.no_grad():
        network.wide_head.weight[:, -4:] = 0  # but for what says the step and the level
        once = network(image, latents, step, lost) - image
        wide = 128 + 2 * (image - 128)
        twice = network(wide, 2 * latents, 2 * step, lost) - wide
    torch.testing.assert_close(twice, 2 * once, atol=1e-3, rtol=1e-3)


def test_it_reaches_no_farther_than_it_says():
    network = lively()
    first, second = _example(1, 264, 264), _example(1, 264, 264, seed=2)
    assert 0 < measure_reach(network, first, second, 8) <= network.reach()


@pytest.mark.parametrize("name", ["width", "depth", "wide", "wide_depth"])
def test_sizes_below_1_are_refused(name):
    with pytest.raises(UsageError, match="at least 1"):
        GroundConfig(**{name: 0})


def test_a_larger_network_begins_as_the_smaller_one():
    smaller = lively()
    larger = lively(GroundConfig(width=12, depth=2, wide=10, wide_depth=3))
    larger.take_over(smaller)
    inputs = _example(1, 48, 64)
    with torch.no_grad():
        torch.testing.assert_close(larger(*inputs), smaller(*inputs), atol=1e-3, rtol=0)
    found = larger(*inputs).square().mean()
    found.backward()
    assert all(
        weights.grad.abs().max() > 0 for name, weights in larger.named_parameters() if "second" in name
    )
    with pytest.raises(UsageError, match="do not fit"):
        smaller.take_over(larger)
