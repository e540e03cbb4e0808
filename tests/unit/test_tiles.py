"""How a picture is cut into tiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.tiles import TileGrid


@pytest.mark.parametrize(
    ("width", "height", "columns", "rows"),
    [(1, 1, 1, 1), (256, 256, 1, 1), (257, 256, 2, 1), (256, 257, 1, 2), (768, 512, 3, 2), (16384, 1, 64, 1)],
)
def test_tiles_at_the_rim_may_be_smaller(width, height, columns, rows):
    grid = TileGrid(width, height, 256)
    assert (grid.columns, grid.rows, grid.count) == (columns, rows, columns * rows)


@given(st.integers(1, 16384), st.integers(1, 16384), st.integers(5, 14))
def test_tiles_cover_the_picture_and_none_is_empty(width, height, log2):
    grid = TileGrid(width, height, 1 << log2)
    assert (grid.columns - 1) * grid.side < width <= grid.columns * grid.side
    assert (grid.rows - 1) * grid.side < height <= grid.rows * grid.side
