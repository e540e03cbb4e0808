"""The demand of a picture tells about how many bytes it takes at a step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from farlook.kernels.block8 import STEPS, Geometry
from farlook.runtime.block8.demand import Demand, Guesses
from farlook.runtime.block8.job import joined


@pytest.fixture(scope="module", params=["grey", "rgb"])
def stored(request, block8, kodim, grey):
    """Demand of a photograph, and its size at a step."""
    image, bands = (kodim, 3) if request.param == "rgb" else (grey, 1)
    geometry, core = Geometry(768, 512, bands, 8), block8._core

    def settings(step):
        return core.settings(geometry, step=step, mtu=1024)

    store = core.store_rows(image, 0, 16, settings(0))
    return Demand(geometry, [store]), lambda step: len(
        joined(core.encode_stored(store, 0, 16, settings(step)))
    )


@pytest.mark.parametrize("step", [250, 350, 450, 550, 620])
def test_it_is_right_within_a_third(stored, step):
    demand, size_at = stored
    assert abs(math.log(size_at(step) / demand.bytes_at(step))) < 0.3


@pytest.mark.parametrize("step", [300, 440, 580])
def test_scaled_by_one_size_it_is_right_near_by(stored, step):
    demand, size_at = stored
    scale = size_at(step) / demand.bytes_at(step)
    assert abs(math.log(size_at(step + 15) / (scale * demand.bytes_at(step + 15)))) < 0.08


@pytest.mark.parametrize("size", [500, 5000, 50_000])
@pytest.mark.parametrize("start", [100, 500, 800])
def test_steps_are_found_from_anywhere(stored, size, start):
    demand, _ = stored
    step = demand.step_for(size, 1.0, start)
    assert abs(math.log(demand.bytes_at(step) / size)) < 0.05


@pytest.mark.parametrize("size", [0, 1e-9, 1, 1e12])
def test_sizes_out_of_reach_end_at_the_ends(stored, size):
    assert stored[0].step_for(size, 1.0) == (0 if size > 1 else STEPS - 1)


def test_a_picture_narrower_than_a_unit_has_a_demand_too(block8):
    geometry = Geometry(20, 64, 1, 8)
    store = np.empty((2, 1536), np.int16)
    demand = Demand(geometry, [store])
    assert demand.bytes_at(300) > demand.bytes_at(400) > 0
    assert 0 <= demand.step_for(100, 1.0) < STEPS


def test_guesses_close_in_on_a_size(stored):
    demand, size_at = stored
    for target in (800, 8000, 80_000):
        guesses = Guesses(demand, target)
        sizes = []
        for _ in range(4):
            step = guesses.next()
            sizes.append(size_at(step))
            guesses.add(step, sizes[-1])
        assert min(abs(math.log(size / target)) for size in sizes) < 0.035
