"""The trial of a trained transform: it begins as the C core's, comes back exactly, and learns where it may."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from farlook.benchmarks import block8_transform
from farlook.benchmarks.block8_transform import Pair, Rate, Transform, _before, main
from farlook.kernels.block8 import Core
from farlook.kernels.block8_tables import Tables
from farlook.models.ground_data import code_crop
from farlook.runtime.bundle import find_bundle


def test_the_fixed_transform_is_the_cores():
    core = Core(Tables.unpack(find_bundle("block8").tables()))
    rng = np.random.default_rng(2)
    coarse = rng.integers(40, 210, (8, 8)).astype(np.uint8)
    crop = np.kron(coarse, np.ones((8, 8), np.uint8)) + rng.integers(0, 30, (64, 64)).astype(np.uint8)
    latents = code_crop(core, crop, 0, None, rng).latents
    found = Transform(lapped=True, trained=False).analyse(torch.from_numpy(crop).float()[None] - 128)[0]
    across_then_down = found.reshape(8, 8, 8, 8).transpose(0, 1).reshape(64, 8, 8)
    np.testing.assert_allclose(latents / 4, across_then_down.detach(), atol=1.5)


@pytest.mark.parametrize("lapped", [True, False])
def test_the_inverse_is_exact_for_whatever_was_learned(lapped):
    transform = Transform(lapped=lapped, trained=True)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weights in transform.parameters():
            weights.add_(torch.randn(weights.shape, generator=generator), alpha=0.02)
        picture = 255 * torch.rand(2, 32, 48, generator=generator)
        back = transform.synthesise(transform.analyse(picture))
    torch.testing.assert_close(back, picture, atol=1e-2, rtol=0)


def test_only_a_trained_transform_learns():
    crops, step = 255 * torch.rand(1, 32, 32), torch.full((1, 1, 1, 1), 40.0)
    for trained in (False, True):
        pair = Pair(lapped=True, trained=trained)
        coded = pair(crops, step)
        (coded.linear.sum() + coded.bits.sum()).backward()
        learned = [weights.grad is not None for weights in pair.transform.parameters()]
        assert learned == [trained] * 3


def test_rate_knows_only_blocks_that_were_coded_before():
    levels = torch.zeros(1, 64, 3, 3)
    levels[0, :, 1, 1] = 5.0
    told = _before(levels).abs().sum((1, 2))[0] > 0
    assert told.nonzero().tolist() == [[1, 2], [2, 0], [2, 1], [2, 2]]


def test_rate_is_less_where_latents_are_none():
    rate, step = Rate(), torch.full((2, 1, 1, 1), 40.0)
    levels = torch.zeros(2, 64, 2, 2)
    levels[1, 5] = 3.0
    none, some = rate(levels, step).tolist()
    assert 0 < none < some


def test_the_trial_writes_its_page(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(block8_transform, "CHECKED", 8)
    monkeypatch.setattr(block8_transform, "CROP", 64)
    monkeypatch.setattr(block8_transform, "held_out", lambda path: path.stem == "0")
    page = tmp_path / "page.md"
    assert main(["--data", str(pictures), "--steps", "2", "--quiet", "--output", str(page)]) == 0
    text = page.read_text()
    for name in ("lapped, fixed", "lapped, trained", "not lapped, fixed", "not lapped, trained"):
        assert f"| {name}" in text
    assert capsys.readouterr().out.strip() == text.strip()
