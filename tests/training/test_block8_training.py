"""A little of block8's training, from pictures to a bundle that codes them."""

import numpy as np
import pytest

from farlook.models import checkpoint
from farlook.models.block8 import CODEC, Block8Config
from farlook.models.block8_bundle import export_block8
from farlook.models.block8_training import tables_of, training_stages
from farlook.models.loop import Trainer
from farlook.models.progress import silent
from farlook.runtime.codec import Codec
from farlook.runtime.errors import TrainingError


@pytest.fixture(scope="module")
def pictures(kodim):
    return [np.ascontiguousarray(kodim[100:196, 90:218]), np.ascontiguousarray(kodim[300:396, 400:496])]


@pytest.fixture(scope="module")
def state(pictures, tmp_path_factory):
    config = Block8Config(epochs=(2, 1), batch=256, rounds=1)
    stages = {stage.name: stage for stage in training_stages(config, pictures, silent)}
    chosen = [stages[name] for name in ("scans", "set of 32, round 1", "refinements of 32")]
    return Trainer(tmp_path_factory.mktemp("run"), {"codec": CODEC}).run(chosen)


def test_a_trained_set_takes_fewer_bytes_than_one_that_knows_nothing(state, pictures, tmp_path):
    meta = {"codec": CODEC, "config": {}, "data": {}, "figures": {}, "torch": "2"}
    checkpoint.save(tmp_path / "model.safetensors", state.tensors, meta)
    export_block8(tmp_path / "made.bundle", tmp_path / "model.safetensors")
    codec = Codec.load(tmp_path / "made.bundle")
    sizes = [len(codec.encode(pictures[0], quality=quality)) for quality in (38, 48)]
    assert sizes[0] < sizes[1] < pictures[0].size // 10
    assert codec.decode(codec.encode(pictures[0], quality=38)).shape == pictures[0].shape


def test_figures_are_bits_a_pixel(state):
    assert 0 < state.figures["bpp set of 32, round 1"] < 2


def test_scans_begin_with_the_mean_and_hold_every_place(state):
    for scan in tables_of(state.tensors).scans:
        assert scan[0] == 0
        assert sorted(scan.tolist()) == list(range(len(scan)))


def test_other_tensors_are_refused():
    with pytest.raises(TrainingError, match="no tables"):
        tables_of({})
