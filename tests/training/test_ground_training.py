"""A short training of the ground's decoder: it learns, resumes to the same bits, and refuses what it should."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from farlook.models import checkpoint, ground_training
from farlook.models.ground import GroundConfig
from farlook.models.ground_data import DrawConfig
from farlook.models.ground_training import (
    GroundTraining,
    errors,
    held_out,
    load_ground,
    train_ground,
    unlike,
)
from farlook.models.loop import CHECKPOINT
from farlook.models.neural_config import Machine
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import TrainingError, UsageError

MACHINE = Machine("cpu", bf16=False)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A size that trains in a second."""
    monkeypatch.setitem(ground_training.SIZES, "small", GroundConfig(4, 1, 4, 1))
    monkeypatch.setattr(ground_training, "_CHECKED", 3)


def settings(**changes):
    return replace(GroundTraining(size="small", steps=6, batch=2, crop=64), **changes)


def test_a_run_gives_weights_a_log_and_figures(pictures, tmp_path):
    path = train_ground(settings(), pictures, tmp_path / "run", machine=MACHINE, progress=False)
    network, saved = load_ground(path)
    assert network.config == GroundConfig(4, 1, 4, 1)
    assert saved.meta["block8"] == find_bundle("block8").digest.hex()
    assert "psnr" in (tmp_path / "run" / "log.csv").read_text()
    assert any(parameter.abs().sum() for parameter in network.tail.parameters())


def test_a_resumed_run_ends_with_the_same_weights(pictures, tmp_path, monkeypatch):
    whole = train_ground(settings(), pictures, tmp_path / "whole", machine=MACHINE, progress=False)
    batch, calls = ground_training.code_batch, []

    def stop(*given):
        calls.append(given)
        if len(calls) == 4:
            raise RuntimeError("power cut")
        return batch(*given)

    monkeypatch.setattr(ground_training, "code_batch", stop)
    with pytest.raises(RuntimeError, match="power cut"):
        train_ground(
            settings(), pictures, tmp_path / "cut", machine=MACHINE, progress=False, checkpoint_every=2
        )
    monkeypatch.setattr(ground_training, "code_batch", batch)
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    resumed = train_ground(
        settings(), pictures, tmp_path / "cut", machine=MACHINE, progress=False, resume=True
    )
    assert checkpoint.load(resumed).digest() == checkpoint.load(whole).digest()


def test_a_run_may_begin_with_weights(pictures, tmp_path):
    first = train_ground(settings(), pictures, tmp_path / "a", machine=MACHINE, progress=False)
    second = train_ground(
        settings(steps=1, lr=1e-6), pictures, tmp_path / "b", start=first, machine=MACHINE, progress=False
    )
    before, after = (load_ground(path)[0].head.weight for path in (first, second))
    torch.testing.assert_close(before, after, atol=1e-3, rtol=0)


def test_a_twentieth_of_the_pictures_is_held_out_and_measured(tmp_path):
    paths = [Path(f"picture{number}.png") for number in range(2000)]
    assert 60 < sum(map(held_out, paths)) < 140
    rng = np.random.default_rng(1)
    data = tmp_path / "data"
    data.mkdir()
    kept = [path for path in paths if held_out(path)][:1] + [path for path in paths if not held_out(path)][:2]
    for path in kept:
        coarse = rng.integers(0, 256, (12, 12, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC).save(data / path.name)
    path = train_ground(settings(), data, tmp_path / "run", machine=MACHINE, progress=False)
    saved = checkpoint.load(path)
    assert saved.meta["data"]["used"] == 2
    assert "gain_db" in saved.meta["figures"]


def test_a_network_can_be_trained_for_ms_ssim(pictures, tmp_path):
    config = settings(steps=60, lr=3e-3, measure="ms-ssim", draw=DrawConfig(steps=(560, 561), tuned=1.0))
    path = train_ground(config, pictures, tmp_path / "run", machine=MACHINE, progress=False)
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.99
    assert checkpoint.load(path).meta["config"]["measure"] == "ms-ssim"
    with pytest.raises(UsageError, match="measure is 'ssim'"):
        settings(measure="ssim")


def test_what_ms_ssim_lacks_is_each_pictures_own():
    target = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 255
    found = target.clone()
    found[1] += 40 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(4))
    same, other = unlike(found, target).tolist()
    assert same == pytest.approx(0, abs=1e-5)
    assert 0.05 < other < 1


def test_errors_are_each_pictures_own():
    a = torch.zeros(2, 3, 8, 8)
    b = torch.stack([torch.zeros(3, 8, 8), torch.full((3, 8, 8), 2.0)])
    torch.testing.assert_close(errors(a, b), torch.tensor([0.0, 4.0]))


@pytest.mark.parametrize(
    "wrong",
    [{"size": "huge"}, {"steps": 0}, {"batch": 0}, {"crop": 40}, {"crop": 1024}, {"lr": 0.0}, {"seed": -1}],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        settings(**wrong)


def test_weights_of_another_codec_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    checkpoint.save(path, {"a": torch.zeros(1)}, {"codec": "fera"})
    with pytest.raises(TrainingError, match="weights of 'fera'"):
        load_ground(path)
    checkpoint.save(path, {"a": torch.zeros(1)}, {"codec": "block8-ground", "config": {"network": {}}})
    with pytest.raises(TrainingError, match="damaged"):
        load_ground(path)
