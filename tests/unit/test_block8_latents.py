"""A decoded stream as a network is told of it: coefficients on a grid, and steps of units."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import farlook
from farlook.kernels.block8 import Coefficients, step_size
from farlook.runtime.block8.decode import decode_tiles
from farlook.runtime.block8.latents import blocks_of_units, luma_latents, unit_steps
from farlook.runtime.block8.progressive import decode_layers
from farlook.runtime.block8.stream import read_stream


@pytest.fixture(scope="module")
def codec():
    return farlook.Codec.load("block8", threads=1)


@pytest.fixture(scope="module")
def picture(kodim):
    return np.ascontiguousarray(kodim[100:360, 200:500])


def decoded(codec, stream):
    header, packets = read_stream(stream)
    if header.layout == "progressive":
        return header, packets, decode_layers(codec._core, header, packets)
    return header, packets, decode_tiles(codec._core, header, packets, 1)


def test_every_coefficient_has_its_place(codec, picture):
    _, _, coefficients = decoded(codec, codec.encode(picture, quality=30))
    rows, columns = coefficients.geometry.blocks(0)
    latents = luma_latents(coefficients)
    assert latents.shape == (64, rows, columns)
    assert latents.dtype == np.int16
    for block in (0, 7, columns + 3, rows * columns - 1):
        expected = np.zeros(64, np.int16)
        expected[0] = coefficients.means[block]
        start = coefficients.starts[block]
        for entry in coefficients.entries[start : start + coefficients.counts[block]]:
            expected[(entry >> 16 >> 5) * 8 + (entry >> 16 & 7)] = np.uint16(entry & 0xFFFF).astype(np.int16)
        np.testing.assert_array_equal(latents[:, block // columns, block % columns], expected)
    assert np.count_nonzero(latents[1:]) == coefficients.counts[: rows * columns].sum()


def test_rows_of_blocks_can_be_had_alone(codec, picture):
    _, _, coefficients = decoded(codec, codec.encode(picture, quality=30))
    whole = luma_latents(coefficients)
    rows = whole.shape[1]
    for begin, end in ((0, rows), (0, 1), (5, 17), (rows - 1, rows), (3, 3)):
        part = luma_latents(coefficients, (begin, end))
        assert part.dtype == np.int16
        np.testing.assert_array_equal(part, whole[:, begin:end])


@pytest.mark.parametrize("shape", [(1, 1), (9, 300), (137, 40), (260, 300)])
def test_steps_of_units_are_the_least_of_their_blocks(codec, picture, shape):
    image = np.ascontiguousarray(picture[: shape[0], : shape[1]])
    header, packets, coefficients = decoded(codec, codec.encode(image, quality=30, roi=[(0, 0, 64, 64, 4)]))
    geometry, latents = coefficients.geometry, np.abs(luma_latents(coefficients)[1:].astype(int))
    expected = []
    for down in range(geometry.units_y):
        for across in range(geometry.units_x):
            unit = latents[:, 4 * down : 4 * down + 4, 4 * across : 4 * across + 4]
            expected.append(unit[unit > 0].min() / 4 if unit.any() else step_size(header.step))
    np.testing.assert_allclose(unit_steps(coefficients, header, packets), expected, rtol=1e-6)


def test_steps_of_a_large_picture_take_little_memory(codec):
    image = np.random.default_rng(3).integers(0, 256, (2048, 512), np.uint8)
    header, packets, coefficients = decoded(codec, codec.encode(image, quality=10, roi=[(0, 0, 64, 64, 4)]))
    unit_steps(coefficients, header, packets)
    tracemalloc.start()
    try:
        unit_steps(coefficients, header, packets)
        assert tracemalloc.get_traced_memory()[1] < image.size, "the latents alone would be 2 bytes a pixel"
    finally:
        tracemalloc.stop()


def test_channels_are_frequencies_across_then_down(codec):
    waves = 128 + 80 * np.cos(np.arange(64) * np.pi / 8)
    across = np.broadcast_to(waves.astype(np.uint8), (64, 64)).copy()
    for image, channels in ((across, range(8, 64, 8)), (across.T.copy(), range(1, 8))):
        latents = luma_latents(decoded(codec, codec.encode(image, quality=80))[2])
        energy = np.square(latents[:, 2:-2, 2:-2].astype(float)).sum(axis=(1, 2))
        assert energy[list(channels)].sum() > 0.95 * energy[1:].sum()


def test_an_empty_picture_has_no_latents():
    coefficients = Coefficients(farlook.Codec.load("block8")._job(np.zeros((9, 17), np.uint8)).geometry)
    assert not luma_latents(coefficients).any()


def test_values_of_units_are_those_of_their_blocks(codec, picture):
    _, _, coefficients = decoded(codec, codec.encode(picture, quality=10))
    geometry = coefficients.geometry
    blocks = blocks_of_units(np.arange(geometry.units), coefficients)
    assert blocks.shape == geometry.blocks(0)
    assert blocks[4, 0] == geometry.units_x
    assert (blocks[:4, :4] == 0).all()


def test_a_stream_of_one_step_has_it_everywhere(codec, picture):
    header, packets, coefficients = decoded(codec, codec.encode(picture, quality=25))
    assert set(unit_steps(coefficients, header, packets)) == {np.float32(step_size(header.step))}


def test_a_region_of_interest_has_finer_steps(codec, picture):
    header, packets, coefficients = decoded(
        codec, codec.encode(picture, quality=25, roi=[(64, 64, 128, 128, 4)])
    )
    steps = unit_steps(coefficients, header, packets).reshape(coefficients.geometry.units_y, -1)
    usual = step_size(header.step)
    inside, outside = steps[2:6, 2:6], np.concatenate([steps[:1].ravel(), steps[-1:].ravel()])
    assert np.median(inside) < 0.7 * usual
    assert np.median(outside) == pytest.approx(usual, rel=0.05)


def test_a_cut_stream_has_coarser_steps(codec, picture):
    stream = codec.encode(picture, quality=40, layout="progressive")
    header, packets, whole = decoded(codec, stream)
    assert np.median(unit_steps(whole, header, packets)) == pytest.approx(step_size(header.step), rel=0.05)
    header, packets, cut = decoded(codec, stream[: len(stream) // 4])
    assert np.median(unit_steps(cut, header, packets)) > 1.5 * step_size(header.step)
