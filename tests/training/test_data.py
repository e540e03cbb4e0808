from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from farlook.models.data import (
    SkippedImageWarning,
    describe_images,
    find_images,
    load_luma,
    sample_blocks,
)
from farlook.runtime.errors import ImageError, TrainingError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def ramp(height: int, width: int) -> np.ndarray:
    """Every 8x8 block of it tells its offset: the first pixel is 16 rows + columns."""
    return (16 * np.arange(height)[:, None] + np.arange(width)[None]).astype(np.uint8)


def test_find_images_is_recursive_sorted_and_blind_to_hidden_files(pictures, tmp_path):
    names = [path.relative_to(pictures).as_posix() for path in find_images(pictures)]
    assert names == ["0.png", "2.png", "below/1.PNG", "below/3.PNG"]
    for name in ("b.webp", "a.tif", "c.bmp", "d.jpeg", ".e.png"):
        save(tmp_path / name, ramp(8, 8))
    (tmp_path / "notes.txt").write_text("no picture")
    assert [path.name for path in find_images(tmp_path)] == ["a.tif", "b.webp", "c.bmp", "d.jpeg"]


def test_find_images_names_what_is_wrong(tmp_path):
    with pytest.raises(TrainingError, match="missing"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "file.png").write_bytes(b"")
    with pytest.raises(TrainingError, match="not a folder"):
        find_images(tmp_path / "file.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="holds no image"):
        find_images(tmp_path / "empty")


def test_load_luma_weighs_colours_as_rec_601(tmp_path):
    colours = np.zeros((8, 3, 3), np.uint8)
    colours[:, range(3), range(3)] = 255
    assert load_luma(save(tmp_path / "rgb.png", colours))[0].tolist() == [76, 150, 29]
    grey = ramp(9, 11)
    assert np.array_equal(load_luma(save(tmp_path / "grey.png", grey)), grey)


def test_load_luma_says_which_file_is_broken(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no png")
    with pytest.raises(ImageError, match=r"broken\.png"):
        load_luma(tmp_path / "broken.png")


def test_blocks_are_cut_from_any_offset(tmp_path):
    save(tmp_path / "ramp.png", ramp(15, 15))
    save(tmp_path / "ramp2.png", ramp(64, 8))
    blocks = sample_blocks(tmp_path, 100, seed=1)
    inside = 16 * np.arange(8)[:, None] + np.arange(8)[None]
    expected = (blocks[:, :1].astype(int) + inside.reshape(1, 64)) % 256
    assert blocks.dtype == np.uint8
    assert np.array_equal(blocks, expected)


def test_every_offset_occurs_up_to_the_edges(tmp_path):
    save(tmp_path / "ramp.png", np.tile(ramp(9, 9), (1, 1)))
    corners = {int(sample_blocks(tmp_path, 1, seed)[0, 0]) for seed in range(60)}
    assert corners == {0, 1, 16, 17}


def test_blocks_follow_area_up_to_the_cap(tmp_path):
    save(tmp_path / "a.png", np.full((16, 16), 10, np.uint8))
    save(tmp_path / "b.png", np.full((80, 80), 20, np.uint8))
    assert np.bincount(sample_blocks(tmp_path, 50, 0)[:, 0])[[10, 20]].tolist() == [4, 50]


def test_same_seed_same_blocks(pictures):
    first, again, other = (sample_blocks(pictures, 20, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unusable_images_are_counted_and_named(pictures, tmp_path):
    save(tmp_path / "fine.png", ramp(8, 8))
    save(tmp_path / "small.png", ramp(7, 30))
    truncated = find_images(pictures)[0].read_bytes()[:700]
    (tmp_path / "cut.png").write_bytes(truncated)
    with pytest.warns(SkippedImageWarning, match="skipped 2 of 3 images") as caught:
        blocks = sample_blocks(tmp_path, 5, 0)
    text = str(caught[0].message)
    assert "cut.png" in text
    assert "small.png is 30x7 pixels" in text
    assert len(blocks) == 1


def test_no_usable_image_is_an_error(tmp_path):
    save(tmp_path / "small.png", ramp(4, 4))
    with pytest.raises(TrainingError, match=r"none of the 1 images[\s\S]*small\.png"):
        sample_blocks(tmp_path, 5, 0)
    with pytest.raises(UsageError, match="per_image"):
        sample_blocks(tmp_path, 0, 0)


def test_progress_counts_images_and_good_images_warn_nothing(pictures):
    seen: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample_blocks(pictures, 1, 0, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_description_follows_names_and_sizes_but_not_the_place(tmp_path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.png").write_bytes(b"12345")
    here, there = describe_images(tmp_path / "here"), describe_images(tmp_path / "there")
    assert here == there
    assert here["images"] == 1
    (tmp_path / "there" / "a.png").write_bytes(b"123456")
    assert describe_images(tmp_path / "there")["digest"] != here["digest"]
    (tmp_path / "here" / "a.png").rename(tmp_path / "here" / "b.png")
    assert describe_images(tmp_path / "here")["digest"] != here["digest"]
