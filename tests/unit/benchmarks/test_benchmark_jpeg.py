"""JPEG as an anchor: what it is compared at must be fair to it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks.jpeg import decode_jpeg, encode_jpeg, scale_within
from farlook.benchmarks.metrics import psnr

BOTH = pytest.mark.parametrize("optimise", [False, True], ids=["standard", "optimised"])


@pytest.fixture(scope="module", params=["grey", "rgb"])
def picture(request, kodim, grey):
    """A piece of the photograph, grey and RGB: 160 x 128 pixels."""
    return np.ascontiguousarray((grey if request.param == "grey" else kodim)[180:308, 240:400])


@BOTH
def test_it_is_a_baseline_jpeg_that_others_read(picture, optimise):
    data = encode_jpeg(picture, 1, optimise=optimise)
    with Image.open(BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (160, 128))
        assert "progressive" not in image.info
        assert image.mode == ("L" if picture.ndim == 2 else "RGB")
        if picture.ndim == 3:
            assert [layer[1:3] for layer in image.layer] == [(2, 2), (1, 1), (1, 1)]
    decoded = decode_jpeg(data)
    assert (decoded.shape, decoded.dtype) == (picture.shape, np.uint8)
    assert psnr(picture, decoded) > 30


def test_a_scale_of_1_is_quality_50(picture):
    expected = BytesIO()
    colour = {"subsampling": "4:2:0"} if picture.ndim == 3 else {}
    Image.fromarray(picture).save(expected, "JPEG", quality=50, **colour)
    assert encode_jpeg(picture, 1, optimise=False) == expected.getvalue()


@BOTH
def test_a_coarser_scale_is_smaller_and_worse(picture, optimise):
    files = [encode_jpeg(picture, scale, optimise=optimise) for scale in (0.001, 0.3, 1, 4, 20)]
    sizes = [len(data) for data in files]
    figures = [psnr(picture, decode_jpeg(data)) for data in files]
    assert sizes == sorted(sizes, reverse=True)
    assert figures == sorted(figures, reverse=True)


def test_optimised_tables_save_bytes_and_change_no_pixel(picture):
    for scale in (0.2, 1, 5):
        standard, optimised = (encode_jpeg(picture, scale, optimise=flag) for flag in (False, True))
        assert len(optimised) < len(standard)
        assert (decode_jpeg(standard) == decode_jpeg(optimised)).all()


@BOTH
@pytest.mark.parametrize("bpp", [0.4, 0.5, 1, 2, 4])
def test_the_search_uses_the_budget_and_never_exceeds_it(picture, optimise, bpp):
    budget = int(bpp * picture.shape[0] * picture.shape[1] / 8)
    scale = scale_within(picture, budget, optimise=optimise)
    smallest = len(encode_jpeg(picture, 255, optimise=optimise))
    if scale is None:
        assert smallest > budget
        return
    size = len(encode_jpeg(picture, scale, optimise=optimise))
    assert 0.95 * budget < size <= budget
    finer = len(encode_jpeg(picture, scale * 0.99, optimise=optimise))
    assert finer >= size


@BOTH
def test_a_budget_below_the_smallest_file_is_out_of_reach(picture, optimise):
    smallest = len(encode_jpeg(picture, 255, optimise=optimise))
    assert scale_within(picture, smallest - 1, optimise=optimise) is None
    assert scale_within(picture, 0, optimise=optimise) is None
    scale = scale_within(picture, smallest, optimise=optimise)
    assert scale is not None
    assert len(encode_jpeg(picture, scale, optimise=optimise)) <= smallest


@BOTH
def test_a_budget_above_the_largest_file_gives_the_finest(picture, optimise):
    scale = scale_within(picture, 10**9, optimise=optimise)
    assert scale is not None
    assert encode_jpeg(picture, scale, optimise=optimise) == encode_jpeg(picture, 0.001, optimise=optimise)
