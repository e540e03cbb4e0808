"""Pictures for benchmarks."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks.pictures import find_pictures, load, luma, pixels, thumbnail
from farlook.runtime.errors import ImageError


def test_pictures_are_found_by_name_and_other_files_left(tmp_path):
    for name in ("b.png", "a.PNG", "c.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.PNG", "b.png", "c.jpg"]


def test_no_folder_and_no_picture_are_errors(tmp_path):
    with pytest.raises(ImageError, match="no picture"):
        find_pictures(tmp_path)
    with pytest.raises(ImageError, match="no folder"):
        find_pictures(tmp_path / "none")


def test_a_picture_is_loaded_as_luma_or_rgb(kodim_path, kodim, grey):
    assert (load(kodim_path, "luma") == grey).all()
    assert (load(kodim_path, "rgb") == kodim).all()
    assert (luma(kodim) == grey).all()
    assert luma(grey) is grey


def test_a_grey_picture_has_three_equal_bands_as_rgb(tmp_path, grey):
    Image.fromarray(grey[:16, :16]).save(tmp_path / "grey.png")
    assert (load(tmp_path / "grey.png", "rgb") == grey[:16, :16, None]).all()


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (100, 60, 3)])
def test_a_thumbnail_shows_the_middle_square(shape):
    picture = np.zeros(shape, np.uint8)
    picture[(shape[0] - 60) // 2 :, (shape[1] - 60) // 2 :][:60, :60] = 200
    small = thumbnail(picture, 20)
    assert small.shape == (20, 20, *shape[2:])
    assert (small == 200).all()


def test_bands_are_no_pixels(kodim, grey):
    assert pixels(kodim) == pixels(grey) == 768 * 512
