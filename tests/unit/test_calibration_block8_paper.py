"""The tables that calibration freezes: complete, integer, and better than knowing nothing."""

import json

import numpy as np
import pytest

from farlook.calibration.block8_paper import fit_tables
from farlook.runtime.layouts.block8_paper import read_tables
from farlook.runtime.layouts.block_contexts import TileSymbols, code_tiles
from farlook.runtime.layouts.ports import Player, Recorder

SIDE, LATENTS = 8, 4


def tiles(count, seed):
    """Smooth `dc`, and latents that grow where it varies."""
    rng = np.random.default_rng(seed)
    slope = rng.integers(-4, 5, (2, count, 1, 1))
    grid = np.arange(SIDE)
    dc = slope[0] * grid[:, None] + slope[1] * grid + rng.integers(-1, 2, (count, SIDE, SIDE))
    detailed = rng.random((count, SIDE, SIDE)) < 0.4
    latents = (
        np.rint(rng.laplace(0, 1.0, (count, SIDE, SIDE, LATENTS))).astype(np.int64) * detailed[..., None]
    )
    latents[..., 0] = dc
    return np.ones((count, SIDE, SIDE), dtype=bool), TileSymbols(latents, detailed)


@pytest.fixture(scope="module")
def fitted():
    return fit_tables([tiles(40, seed) for seed in range(3)], LATENTS)


def bits(entropy, sample):
    models, book = read_tables({"luma": entropy, "chroma": entropy})
    valid, symbols = sample
    recorder = Recorder(len(valid), book)
    code_tiles(models["luma"], recorder, valid, symbols)
    return 8 * int(recorder.sizes().sum())


def test_tables_are_json_of_integers(fitted):
    def leaves(value):
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    assert json.loads(json.dumps(fitted)) == fitted
    assert all(type(leaf) is int for value in fitted.values() for leaf in leaves(value))


def test_unseen_tiles_survive_the_round_trip(fitted):
    valid, symbols = tiles(10, seed=99)
    models, book = read_tables({"luma": fitted, "chroma": fitted})
    recorder = Recorder(len(valid), book)
    code_tiles(models["luma"], recorder, valid, symbols)
    player = Player(recorder.payloads(), book)
    decoded = code_tiles(models["luma"], player, valid, None)
    player.finish()
    assert np.array_equal(decoded.latents, symbols.latents)
    assert np.array_equal(decoded.detailed, symbols.detailed)


def test_fitting_saves_bits_on_unseen_tiles(fitted):
    blank = fit_tables([], LATENTS)
    sample = tiles(20, seed=7)
    assert bits(fitted, sample) < 0.95 * bits(blank, sample)


def test_equal_samples_give_equal_tables(fitted):
    assert fit_tables([tiles(40, seed) for seed in range(3)], LATENTS) == fitted
