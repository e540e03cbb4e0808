from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from farlook.models.crops import CropPool, load_pool
from farlook.models.data import SkippedImageWarning
from farlook.runtime.errors import TrainingError


def drawn(pool, count, side, seed=0):
    return pool.draw(count, side, torch.Generator().manual_seed(seed))


def test_crops_are_squares_of_the_pictures(pictures):
    pool = load_pool(pictures, 64)
    crops = drawn(pool, 5, 64)
    assert len(pool) == 4
    assert crops.shape == (5, 3, 64, 64)
    assert crops.dtype == torch.float32
    assert crops.min() >= 0
    assert crops.max() <= 1
    assert torch.equal(crops, drawn(pool, 5, 64))
    assert not torch.equal(crops, drawn(pool, 5, 64, seed=1))


def test_all_eight_ways_to_turn_and_flip_occur():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[0, 1] = 255
    crops = drawn(CropPool([picture]), 200, 8)
    assert {tuple(torch.nonzero(crop[0])[0].tolist()) for crop in crops} == {
        (0, 1), (1, 0), (0, 6), (6, 0), (7, 1), (1, 7), (7, 6), (6, 7)
    }  # fmt: skip


def test_pictures_are_drawn_by_area_and_to_their_edges():
    small, large = np.full((8, 8, 3), 10, np.uint8), np.full((24, 24, 3), 20, np.uint8)
    large[-1, -1] = 255
    crops = drawn(CropPool([small, large]), 2000, 8)
    share = float((crops.amin(dim=(1, 2, 3)) < 15 / 255).float().mean())
    assert share == pytest.approx(0.1, abs=0.03)
    assert (crops.amax(dim=(1, 2, 3)) == 1).any(), "the last pixel is reached"


def test_large_pictures_are_cropped_to_fit_the_memory(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(3):
        pixels = rng.integers(0, 256, (300, 700, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    assert load_pool(tmp_path, 64).pixels == 3 * 300 * 700
    assert load_pool(tmp_path, 64, limit=3 * 3 * 300 * 512).pixels == 3 * 300 * 512
    assert load_pool(tmp_path, 300, limit=1).pixels == 3 * 300 * 300


def test_unusable_pictures_are_named(pictures, tmp_path):
    for source in pictures.glob("*.png"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no png")
    Image.new("RGB", (63, 200)).save(tmp_path / "narrow.png")
    with pytest.warns(SkippedImageWarning, match="skipped 2 of 4") as caught:
        assert len(load_pool(tmp_path, 64)) == 2
    assert "broken.png" in str(caught[0].message)
    assert "narrow.png is 63x200 pixels, smaller than a crop of 64x64" in str(caught[0].message)


def test_no_usable_picture_is_an_error(pictures, tmp_path):
    with pytest.raises(TrainingError, match="none of the 4 images"):
        load_pool(pictures, 128)
    with pytest.raises(TrainingError, match="holds no image"):
        load_pool(tmp_path, 64)
    with pytest.raises(TrainingError, match="missing"):
        load_pool(tmp_path / "nowhere", 64)
