"""The walk through block8-paper's symbols: what the encoder writes, the decoder reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import CorruptStreamError
from farlook.runtime.layouts.block8_paper import KINDS, read_tables
from farlook.runtime.layouts.block_contexts import ContextModel, TileSymbols, code_tiles, zigzag
from farlook.runtime.layouts.ports import Player, Recorder

MODELS, BOOK = read_tables(find_bundle("block8-paper").entropy())
LATENTS = MODELS["luma"].latents
SIDES = (2, 4, 16, 32)

LARGEST = (1 << 22) - 1
"""Two such latents of different signs still differ by a value that can be coded."""


def random_symbols(seed, tiles, side, scale, detail, ragged):
    """Symbols up to `scale`, a share `detail` of the blocks G2's; `ragged`: not all blocks lie in the picture."""
    rng = np.random.default_rng(seed)
    valid = np.ones((tiles, side, side), dtype=np.bool_)
    if ragged:
        for tile in valid:
            tile[rng.integers(1, side + 1) :] = False
            tile[:, rng.integers(1, side + 1) :] = False
    detailed = (rng.random(valid.shape) < detail) & valid
    latents = rng.integers(-scale, scale + 1, (*valid.shape, LATENTS))
    latents *= rng.random(latents.shape) < 0.6
    latents[..., 1:] *= detailed[..., None]
    latents[..., 0] *= valid
    return valid, TileSymbols(latents.astype(np.int64), detailed)


def record(kind, valid, symbols):
    recorder = Recorder(len(valid), BOOK)
    code_tiles(MODELS[kind], recorder, valid, symbols)
    return recorder


def play(kind, valid, payloads):
    player = Player(payloads, BOOK)
    symbols = code_tiles(MODELS[kind], player, valid, None)
    player.finish()
    return symbols


def assert_same(symbols, expected):
    np.testing.assert_array_equal(symbols.latents, expected.latents)
    np.testing.assert_array_equal(symbols.detailed, expected.detailed)


cases = st.builds(
    random_symbols,
    seed=st.integers(0, 1 << 32),
    tiles=st.integers(1, 4),
    side=st.sampled_from(SIDES),
    scale=st.sampled_from([0, 1, 3, 40, 5000, LARGEST]),
    detail=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    ragged=st.booleans(),
)


@given(st.sampled_from(KINDS), cases)
@example("luma", random_symbols(0, 1, 2, LARGEST, 1.0, ragged=False))
@example("chroma", random_symbols(1, 3, 32, LARGEST, 1.0, ragged=True))
def test_what_is_written_is_read_back(kind, case):
    valid, symbols = case
    recorder = record(kind, valid, symbols)
    payloads = recorder.payloads()
    assert recorder.sizes().tolist() == [len(payload) for payload in payloads]
    assert_same(play(kind, valid, payloads), symbols)


@given(st.sampled_from(KINDS), cases)
def test_every_tile_decodes_alone(kind, case):
    valid, symbols = case
    for tile, payload in enumerate(record(kind, valid, symbols).payloads()):
        one = slice(tile, tile + 1)
        expected = TileSymbols(symbols.latents[one], symbols.detailed[one])
        assert_same(play(kind, valid[one], [payload]), expected)


@given(cases)
def test_every_tile_is_coded_alone(case):
    valid, symbols = case
    together = record("luma", valid, symbols).payloads()
    alone = [
        record("luma", valid[i : i + 1], TileSymbols(symbols.latents[i : i + 1], symbols.detailed[i : i + 1]))
        for i in range(len(valid))
    ]
    assert together == [payload for recorder in alone for payload in recorder.payloads()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", SIDES)
def test_a_single_block_of_a_tile_may_lie_in_the_picture(kind, side):
    valid = np.zeros((1, side, side), dtype=np.bool_)
    valid[0, 0, 0] = True
    symbols = TileSymbols(np.zeros((1, side, side, LATENTS), dtype=np.int64), valid.copy())
    symbols.latents[0, 0, 0] = np.arange(LATENTS) - 3
    payloads = record(kind, valid, symbols).payloads()
    assert len(payloads[0]) < 30
    assert_same(play(kind, valid, payloads), symbols)


def test_several_planes_share_a_tiles_payload():
    luma, chroma = (random_symbols(seed, 3, side, 20, 0.3, ragged=True) for seed, side in ((1, 8), (2, 4)))
    recorder = Recorder(3, BOOK)
    code_tiles(MODELS["luma"], recorder, *luma)
    code_tiles(MODELS["chroma"], recorder, *chroma)
    payloads = recorder.payloads()
    assert recorder.sizes().tolist() == [len(payload) for payload in payloads]
    player = Player(payloads, BOOK)
    assert_same(code_tiles(MODELS["luma"], player, luma[0], None), luma[1])
    assert_same(code_tiles(MODELS["chroma"], player, chroma[0], None), chroma[1])
    player.finish()


def test_smooth_tiles_take_fewer_bytes_than_noisy_ones():
    valid, noise = random_symbols(3, 1, 32, 40, 0.0, ragged=False)
    ramp = TileSymbols(np.zeros_like(noise.latents), noise.detailed)
    ramp.latents[..., 0] = np.arange(32)[:, None] + np.arange(32)
    assert (
        len(record("luma", valid, ramp).payloads()[0]) < len(record("luma", valid, noise).payloads()[0]) / 2
    )


def test_every_cut_of_a_payload_is_a_corrupt_stream():
    valid, symbols = random_symbols(4, 1, 4, 40, 0.5, ragged=False)
    (payload,) = record("luma", valid, symbols).payloads()
    for size in range(len(payload)):
        with pytest.raises(CorruptStreamError, match="passes its checksum but cannot be decoded"):
            play("luma", valid, [payload[:size]])


def test_a_payload_that_goes_on_is_a_corrupt_stream():
    valid, symbols = random_symbols(5, 1, 4, 40, 0.5, ragged=False)
    (payload,) = record("luma", valid, symbols).payloads()
    with pytest.raises(CorruptStreamError, match="passes its checksum but cannot be decoded"):
        play("luma", valid, [payload + b"\0"])


@given(st.binary(max_size=300), st.sampled_from(KINDS), st.sampled_from(SIDES))
def test_any_payload_decodes_or_is_a_corrupt_stream(payload, kind, side):
    valid = np.ones((1, side, side), dtype=np.bool_)
    try:
        symbols = play(kind, valid, [payload])
    except CorruptStreamError:
        return
    assert symbols.latents.shape == (1, side, side, LATENTS)


def test_an_encoder_must_know_its_symbols():
    with pytest.raises(ValueError, match="needs values"):
        code_tiles(MODELS["luma"], Recorder(1, BOOK), np.ones((1, 2, 2), dtype=np.bool_), None)


def test_zigzag_counts_from_zero_outwards():
    assert zigzag(np.array([0, -1, 1, -2, 2])).tolist() == [0, 1, 2, 3, 4]
    assert zigzag(np.array([-(1 << 23)])).tolist() == [(1 << 24) - 1]


def test_models_read_back_from_their_own_fields():
    entropy = find_bundle("block8-paper").entropy()
    model = ContextModel.from_fields(entropy["luma"], 0)
    assert model.latents == LATENTS
    assert model.end_row == len(entropy["luma"]["lengths"])
