"""block8-paper's layout: quantising, cutting into tiles, and no seams between strips of work."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.backends.ort.load import load
from farlook.runtime.bundle import Bundle
from farlook.runtime.errors import BundleError
from farlook.runtime.layouts import block8_paper, open_layout
from farlook.runtime.layouts.block8_paper import (
    BlockLatents,
    Quantiser,
    from_tiles,
    to_tiles,
)
from farlook.runtime.tiles import TileGrid

STEPS = tuple(100.0 - quality / 2 for quality in range(1, 101))
QUANTISER = Quantiser(STEPS, chroma_ratio=0.5, rounding=0.25, detail=0.5)
CODING = {
    "quantiser": {"steps": list(STEPS), "chroma_ratio": 0.5, "rounding": 0.25, "detail": 0.5},
}


@pytest.fixture(scope="module")
def bundle(shipped):
    return Bundle.open(shipped)


@pytest.fixture(scope="module")
def layout(bundle):
    return open_layout(bundle)


@pytest.fixture(scope="module")
def analysis(bundle):
    return load(bundle.graph("analysis"), "analysis", 1)


@pytest.fixture(scope="module")
def synthesis(bundle):
    return load(bundle.graph("synthesis"), "synthesis", 1)


@pytest.fixture
def narrow(monkeypatch):
    """Work in the narrowest strips and the smallest groups."""

    def set_limits():
        monkeypatch.setattr(block8_paper, "_STRIP_BLOCKS", 1)
        monkeypatch.setattr(block8_paper, "_GROUP_BLOCKS", 1)

    return set_limits


def one_block(g1, g2, error):
    return BlockLatents(
        np.array([[g1]], dtype=np.float32),
        np.array([[g2]], dtype=np.float32),
        np.array([[error]], dtype=np.float32),
    )


def quantised(latents, quality=100, kind="luma", quantiser=QUANTISER):
    symbols = quantiser.quantise(latents, quality, kind)
    return symbols.latents[0, 0].tolist(), bool(symbols.detailed[0, 0])


def assert_same(symbols, expected):
    for plane, other in zip(symbols, expected, strict=True):
        np.testing.assert_array_equal(plane.latents, other.latents)
        np.testing.assert_array_equal(plane.detailed, other.detailed)


def test_a_block_that_g1_explains_has_one_latent():
    assert quantised(one_block(120, [500, 90, -90], error=0)) == ([2, 0, 0], False)


def test_a_block_that_g1_does_not_explain_has_all_latents():
    assert quantised(one_block(120, [500, 90, -90], error=1e6)) == ([10, 2, -2], True)


def test_the_first_latent_is_rounded_to_the_nearest():
    assert quantised(one_block(74, [0, 0], error=0))[0] == [1, 0]
    assert quantised(one_block(-76, [0, 0], error=0))[0] == [-2, 0]
    assert quantised(one_block(0, [76, 0], error=1e6))[0] == [2, 0]


@pytest.mark.parametrize(
    ("value", "expected"), [(0, 0), (37, 0), (38, 1), (87, 1), (88, 2), (-37, 0), (-38, -1)]
)
def test_further_latents_have_a_dead_zone(value, expected):
    assert quantised(one_block(0, [0, value], error=1e6))[0] == [0, expected]


@pytest.mark.parametrize(("error", "detailed"), [(1249, False), (1251, True)])
def test_detail_begins_where_the_error_exceeds_a_share_of_the_squared_step(error, detailed):
    assert quantised(one_block(0, [0], error))[1] is detailed


def test_chroma_has_a_step_of_its_own():
    assert quantised(one_block(100, [0], error=0), kind="luma")[0] == [2]
    assert quantised(one_block(100, [0], error=0), kind="chroma")[0] == [4]


def test_each_quality_has_its_step():
    assert [QUANTISER.step(quality, "luma") for quality in (1, 50, 100)] == [99.5, 75.0, 50.0]


def test_a_quantiser_is_read_from_coding():
    assert Quantiser.from_coding(CODING) == QUANTISER


@pytest.mark.parametrize("steps", [[], [1.0] * 99, [1.0] * 101, [1.0] * 99 + [0.0], [1.0] * 99 + [-1.0]])
def test_steps_must_be_a_hundred_and_positive(steps):
    with pytest.raises(ValueError, match="100 steps"):
        Quantiser.from_coding({"quantiser": CODING["quantiser"] | {"steps": steps}})


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 4, 8]), st.sampled_from([(), (3,)]))
def test_tiles_come_back_as_blocks(rows, columns, side, rest):
    shape = (rows, columns, *rest)
    blocks = np.arange(1, np.prod(shape) + 1).reshape(shape)
    tiles = to_tiles(blocks, side)
    assert tiles.shape == (-(-rows // side) * -(-columns // side), side, side, *rest)
    assert tiles.sum() == blocks.sum()
    np.testing.assert_array_equal(from_tiles(tiles, shape), blocks)


def test_tiles_stand_in_rows_from_the_top_left_and_stick_out_as_zeros():
    blocks = np.arange(1, 13).reshape(3, 4)
    assert to_tiles(blocks, 2).tolist() == [
        [[1, 2], [5, 6]],
        [[3, 4], [7, 8]],
        [[9, 10], [0, 0]],
        [[11, 12], [0, 0]],
    ]


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 17), (100, 130)])
def test_planes_are_filled_up_to_whole_blocks(layout, analysis, grey, size):
    (latents,) = layout.analyse(analysis, [grey[: size[0], : size[1]]])
    blocks = (-(-size[0] // 8), -(-size[1] // 8))
    assert latents.g1.shape == latents.error.shape == blocks
    assert latents.g2.shape[:2] == blocks


def test_blocks_are_analysed_one_by_one(layout, analysis, grey):
    """A block's latents do not depend on what stands around it."""
    (whole,) = layout.analyse(analysis, [grey[:64, :64]])
    (part,) = layout.analyse(analysis, [grey[16:24, 40:48]])
    np.testing.assert_allclose(part.g2[0, 0], whole.g2[2, 5], atol=0.02)


@pytest.mark.parametrize("bands", [1, 3])
def test_strips_and_groups_leave_no_trace(layout, analysis, synthesis, grey, narrow, bands):
    plane = grey[:200, :330]
    planes = [plane, plane[:100, :165], plane[100:, 165:]][:bands]
    grid = TileGrid(330, 200, 64)

    def run():
        symbols = layout.quantise(layout.analyse(analysis, planes), 60)
        payloads = layout.pack(symbols, grid)
        return symbols, payloads, layout.synthesise(synthesis, symbols, 60, grid)

    symbols, payloads, pictures = run()
    narrow()
    symbols_in_strips, payloads_in_strips, pictures_in_strips = run()
    assert_same(symbols_in_strips, symbols)
    assert payloads_in_strips == payloads
    for picture, other in zip(pictures_in_strips, pictures, strict=True):
        np.testing.assert_array_equal(picture, other)
    assert_same(layout.unpack(payloads, grid, bands), symbols)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 95), (130, 70)])
@pytest.mark.parametrize("quality", [1, 60, 100])
def test_packed_symbols_are_unpacked(layout, analysis, grey, bands, size, quality):
    height, width = size
    half = ((height + 1) // 2, (width + 1) // 2)
    planes = [grey[:height, :width], grey[: half[0], : half[1]], grey[-half[0] :, -half[1] :]][:bands]
    grid = TileGrid(width, height, 32)
    symbols = layout.quantise(layout.analyse(analysis, planes), quality)
    payloads = layout.pack(symbols, grid)
    assert layout.sizes(symbols, grid) == [len(payload) for payload in payloads]
    assert len(payloads) == grid.count
    assert_same(layout.unpack(payloads, grid, bands), symbols)


def test_planes_are_drawn_in_their_size(layout, analysis, synthesis, grey):
    planes = [grey[:33, :95], grey[:17, :48], grey[:17, :48]]
    grid = TileGrid(95, 33, 32)
    drawn = layout.synthesise(synthesis, layout.quantise(layout.analyse(analysis, planes), 100), 100, grid)
    assert [plane.shape for plane in drawn] == [plane.shape for plane in planes]
    assert {plane.dtype for plane in drawn} == {np.dtype(np.uint8)}
    assert all(
        np.abs(plane - other.astype(float)).mean() < 8 for plane, other in zip(drawn, planes, strict=True)
    )


def test_what_the_network_draws_is_rounded_and_clipped(layout, analysis, grey):
    class Painter:
        """A session that paints the same four values everywhere."""

        def run(self, inputs):
            rows, columns = inputs["detailed"].shape[2:]
            return {"image": np.tile(np.float32([-1000, 99.6, 254.4, 1000]), (1, 1, rows * 8, columns * 2))}

    symbols = layout.quantise(layout.analyse(analysis, [grey[:24, :16]]), 50)
    (drawn,) = layout.synthesise(Painter(), symbols, 50, TileGrid(16, 24, 32))
    np.testing.assert_array_equal(drawn, np.tile(np.uint8([0, 100, 254, 255]), (24, 4)))


@pytest.mark.parametrize(
    "change",
    [
        {"chroma_ratio": 0},
        {"chroma_ratio": float("nan")},
        {"detail": float("nan")},
        {"rounding": -5},
        {"rounding": 1},
    ],
    ids=str,
)
def test_quantisers_that_make_no_sense_are_refused(change):
    with pytest.raises(ValueError, match="quantiser"):
        Quantiser.from_coding({"quantiser": CODING["quantiser"] | change})


@pytest.mark.parametrize("outputs", [{}, {"g1": np.zeros((1, 1, 1, 1)), "g2": np.zeros((1, 4, 1, 1))}])
def test_graphs_with_other_outputs_are_a_bundle_error(layout, outputs):
    class Other:
        def run(self, inputs):
            return outputs

    with pytest.raises(BundleError, match="should give"):
        layout.analyse(Other(), [np.zeros((8, 8), dtype=np.uint8)])
