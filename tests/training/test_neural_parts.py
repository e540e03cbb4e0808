"""Gains, priors, gates, attention: what the four neural codecs are made of."""

from __future__ import annotations

import pytest
import torch

from farlook.models.attention import CBAM, CELL, MFCA
from farlook.models.blocks import LinearPath, dct_rows
from farlook.models.entropy_bottleneck import EntropyBottleneck, MapPrior
from farlook.models.gains import ANCHORS, LAMBDAS, Gains, anchor_weights, tradeoff
from farlook.models.neural import gate_mask
from farlook.models.quantise import add_noise, round_through, shrink


def test_rounding_lets_gradients_through():
    values = torch.tensor([-1.5, -0.4, 0.5, 2.6], requires_grad=True)
    rounded = round_through(values)
    assert rounded.tolist() == [-2.0, 0.0, 0.0, 3.0]
    rounded.sum().backward()
    assert values.grad.tolist() == [1.0] * 4


def test_noise_is_uniform_and_repeatable():
    noise = add_noise(torch.zeros(20_000), torch.Generator().manual_seed(1))
    assert torch.equal(noise, add_noise(torch.zeros(20_000), torch.Generator().manual_seed(1)))
    assert noise.abs().max() <= 0.5
    assert noise.std() == pytest.approx(12**-0.5, rel=0.02)


def test_shrinking_moves_towards_zero_but_not_across():
    values = torch.tensor([-2.0, -0.1, 0.0, 0.05, 1.0]).view(1, 1, 1, -1)
    expected = torch.tensor([-1.9, 0.0, 0.0, 0.0, 0.9])
    assert torch.allclose(shrink(values, torch.full((1, 1, 1, 1), 0.1)).flatten(), expected)


def test_levels_trade_rate_for_error_in_even_steps():
    weights = tradeoff(torch.tensor([0.0, 0.5, 1.0]))
    assert weights[[0, 2]].tolist() == pytest.approx(LAMBDAS)
    assert float(weights[1]) == pytest.approx((LAMBDAS[0] * LAMBDAS[1]) ** 0.5, rel=1e-5)


def test_gains_between_anchors_are_geometric_means():
    gains = Gains(3)
    torch.nn.init.normal_(gains.log_forward)
    torch.nn.init.normal_(gains.log_change)
    middle = 2.5 / (ANCHORS - 1)
    forward, inverse = gains(torch.tensor([2 / (ANCHORS - 1), middle, 3 / (ANCHORS - 1)]))
    assert forward.shape == inverse.shape == (3, 3, 1, 1)
    for gain in (forward, inverse):
        assert torch.allclose(gain[1], (gain[0] * gain[2]).sqrt(), rtol=1e-5)
    assert torch.allclose(forward[0].flatten(), torch.tensor(gains.tables()["forward"][2]), rtol=1e-5)
    assert torch.allclose(anchor_weights(torch.rand(9)).sum(1), torch.ones(9), atol=1e-5)


@pytest.mark.parametrize("gain", [0.3, 1.0, 5.0])
def test_a_prior_is_a_distribution_over_integers_at_any_gain(gain):
    prior = EntropyBottleneck(2)
    torch.nn.init.normal_(prior.means)
    torch.nn.init.normal_(prior.weights)
    symbols = torch.arange(-400.0, 401.0).view(1, 1, 1, -1).repeat(1, 2, 1, 1)
    bits = prior(symbols, torch.full((1, 2, 1, 1), gain))
    assert torch.allclose((2**-bits).sum(-1).flatten(), torch.ones(2), atol=1e-3)


def test_a_fitted_prior_comes_near_the_entropy():
    generator = torch.Generator().manual_seed(0)
    values = 3.0 * torch.randn(1, 1, 100, 100, generator=generator)
    prior, gain = EntropyBottleneck(1), torch.full((1, 1, 1, 1), 2.0)
    prior.fit_scales(values.std(dim=(0, 2, 3)))
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.05)
    for _ in range(100):
        bits = prior(torch.round(values * gain), gain).mean()
        optimizer.zero_grad()
        bits.backward()
        optimizer.step()
    entropy = 0.5 * torch.log2(torch.tensor(2 * torch.pi * torch.e * 36.0))
    assert float(bits.detach()) == pytest.approx(float(entropy), abs=0.05)


def test_a_maps_prior_costs_what_its_table_says_and_has_a_slope_between():
    prior = MapPrior(4, ANCHORS)
    with torch.no_grad():
        prior.logits[:, 2] = 3.0
    soft = torch.tensor([0.0, 2.0, 1.5]).view(1, 1, 1, 3).requires_grad_()
    bits = prior(soft, anchor_weights(torch.tensor([0.4])))
    expected = -torch.log2(torch.softmax(prior.logits[0], 0))[[0, 2]]
    assert torch.allclose(bits.flatten()[:2], expected, rtol=1e-5)
    bits.sum().backward()
    assert float(soft.grad[..., 2]) < 0, "towards the common value it gets cheaper"


def test_gates_keep_the_first_channels_and_have_a_slope():
    values = torch.tensor([0.2, 1.4, 2.9]).view(1, 1, 1, 3).requires_grad_()
    mask = gate_mask(values, (1, 4, 6, 12), 12)
    assert mask.sum(1).flatten().tolist() == [1, 4, 12]
    assert torch.equal(mask, mask.cummin(dim=1).values), "a channel is open only if those before it are"
    mask.sum().backward()
    assert (values.grad > 0).all()


def test_the_linear_path_begins_as_an_orthonormal_transform():
    rows = dct_rows(8)
    assert torch.allclose(rows @ rows.T, torch.eye(192), atol=1e-5)
    image = torch.rand(1, 3, 32, 32)
    path = LinearPath(192, block=8)
    assert torch.allclose(path.synthesise(path.analyse(image)), image, atol=1e-4)
    grey = LinearPath(4, block=8).analyse(torch.full((1, 3, 8, 8), 0.5)).flatten().detach()
    assert float(grey[0]) == pytest.approx(0.5 * 8 * 3**0.5 * LinearPath.UNIT, rel=1e-4)
    assert torch.allclose(grey[1:], torch.zeros(3), atol=1e-4)


@pytest.mark.parametrize("kind", [CBAM, MFCA])
def test_attention_sees_its_cell_and_no_other(kind):
    torch.manual_seed(0)
    attention, cell = kind(8, 8), CELL // 8
    features = torch.randn(1, 8, cell, 6 * cell)
    changed = features.clone()
    changed[..., :cell] += torch.randn(1, 8, cell, cell)
    with torch.no_grad():
        before, after = attention(features), attention(changed)
    assert before.shape == features.shape
    assert not torch.equal(before[..., :cell], after[..., :cell])
    assert torch.equal(before[..., 2 * cell :], after[..., 2 * cell :])
