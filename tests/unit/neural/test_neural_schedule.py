"""Every position is coded once, after the neighbours it looks at."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.runtime.neural.schedule import MEAN_UNIT, make_steps, neighbour_means, positions, surroundings

SHAPES = [(1, 1), (1, 7), (2, 2), (5, 3), (8, 8), (17, 9), (32, 32)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spacing", [1, 2, 8, 16])
def test_every_position_of_every_channel_is_coded_once(shape, spacing):
    steps = make_steps([3, 7], [spacing, 2])
    times = np.zeros((7, shape[0] * shape[1]), dtype=int)
    for step in steps:
        times[step.channels, positions(step, *shape)] += 1
    assert (times == 1).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spacing", [2, 8, 16])
def test_neighbours_inside_the_tile_are_always_known(shape, spacing):
    known = np.zeros(shape, dtype=bool)
    for step in make_steps([1], [spacing]):
        for position in positions(step, *shape):
            row, column = divmod(int(position), shape[1])
            for down, right in step.neighbours:
                y, x = row + down * step.distance, column + right * step.distance
                if 0 <= y < shape[0] and 0 <= x < shape[1]:
                    assert known[y, x]
        known.flat[positions(step, *shape)] = True
    assert known.all()


def test_groups_close_with_their_last_step():
    steps = make_steps([2, 5, 6], [4, 1, 2])
    closing = [step for step in steps if step.closes]
    assert [step.last for step in closing] == [2, 5, 6]
    assert [step.first for step in steps] == sorted(step.first for step in steps)


def test_means_are_of_the_neighbours_that_there_are():
    step = next(s for s in make_steps([1], [2]) if s.neighbours and s.neighbours[0][0] == -1 and s.closes)
    grid = np.arange(12.0).reshape(1, 3, 4)
    means = neighbour_means(grid, step)[0]
    assert means[0, 1] == MEAN_UNIT * (0 + 2 + 5) / 3
    assert means[1, 1] == MEAN_UNIT * (1 + 4 + 6 + 9) / 4
    assert means[2, 3] == MEAN_UNIT * (10 + 7) / 2
    assert neighbour_means(np.ones((1, 1, 1)), step)[0, 0, 0] == 0


def test_means_are_whole_numbers():
    grid = np.random.default_rng(3).integers(-999, 999, (4, 9, 11)).astype(float)
    for step in make_steps([4], [8]):
        if step.neighbours:
            means = neighbour_means(grid, step)
            assert (means == np.rint(means)).all()


def test_surroundings_repeat_the_rim():
    grid = np.zeros((1, 3, 3))
    grid[0, 0, 0] = 1
    assert surroundings(grid)[0].tolist() == [[3, 2, 0], [2, 1, 0], [0, 0, 0]]
    assert surroundings(np.ones((2, 4, 5))).tolist() == np.full((2, 4, 5), 8).tolist()
