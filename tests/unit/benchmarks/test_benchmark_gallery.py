"""Several codecs' reconstructions in one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from farlook.benchmarks.gallery import (
    OTHERS,
    Exhibit,
    caption,
    error_map,
    exhibit,
    hang,
    similarity,
)
from farlook.benchmarks.metrics import psnr, ssim
from farlook.benchmarks.pictures import luma
from farlook.runtime.errors import FarlookError, UsageError

pytest.importorskip("onnxruntime")

STANDIN = str(Path(__file__).parents[2] / "vectors" / "neural" / "standin.bundle")


@pytest.fixture(scope="module")
def picture(kodim):
    """A piece of the photograph: 240 x 160 pixels."""
    return np.ascontiguousarray(kodim[180:340, 240:480])


@pytest.fixture(scope="module")
def exhibits(picture):
    """The piece in three codecs, one of them with a map."""
    return [exhibit(picture, name, 0.6) for name in (STANDIN, "jpeg", "webp")]


@pytest.mark.parametrize("name", [*OTHERS, "block8"])
def test_every_codec_keeps_the_rate_and_uses_it(picture, name):
    try:
        shown = exhibit(picture, name, 1.0)
    except UsageError as error:
        pytest.skip(str(error))  # pillow without it
    assert 0.8 < shown.bpp <= 1.0
    assert shown.image.shape == picture.shape
    assert psnr(picture, shown.image) > 28
    assert min(shown.encode_ms, shown.decode_ms) > 0
    assert shown.map is None


def test_grey_pictures_stay_grey(picture):
    grey = luma(picture)
    for name in ("jpeg", "webp", STANDIN):
        assert exhibit(grey, name, 1.5).image.shape == grey.shape


def test_a_codec_without_so_small_a_file_is_left_out(picture):
    assert exhibit(picture, "jpeg", 0.05) is None
    assert exhibit(picture, STANDIN, 0.01) is None


def test_an_unknown_codec_is_refused(picture):
    with pytest.raises(FarlookError, match="nonesuch"):
        exhibit(picture, "nonesuch", 1.0)


def test_a_map_shows_where_the_stream_spends(exhibits, picture):
    shown = exhibits[0].map
    assert shown.shape == picture.shape[:2]
    assert set(np.unique(shown)) <= {0, 85, 170, 255}
    assert len(np.unique(shown)) > 1
    assert (shown[:16, :16] == shown[0, 0]).all()


def test_captions_say_rate_psnr_and_ssim(exhibits, picture):
    for each in exhibits:
        first, second = caption(picture, each)
        assert first == f"{each.name}: {each.bpp:.3f} bpp"
        assert (
            second == f"{psnr(picture, each.image):.2f} dB, SSIM {ssim(luma(picture), luma(each.image)):.4f}"
        )
    assert similarity(picture[:8], picture[:8]) == "-"


def test_errors_are_dark_where_they_are_large(picture):
    changed = picture.copy()
    changed[:20] = 255 - changed[:20]
    shown = error_map(picture, changed)
    assert (shown[20:] == 255).all()
    assert shown[:20].mean() < 128


def test_a_gallery_holds_every_picture(exhibits, picture):
    sheet = hang(picture, exhibits)
    assert sheet.dtype == np.uint8
    cell = (sheet.shape[1] + 8) // 4
    assert sheet.shape[0] == 56 + 3 * (160 + 8) - 8
    columns = [sheet[56:, index * cell : index * cell + 240] for index in range(4)]
    np.testing.assert_array_equal(columns[0][:160], picture)
    for column, each in zip(columns[1:], exhibits, strict=True):
        np.testing.assert_array_equal(column[:160], each.image)
        np.testing.assert_array_equal(column[168:328, :, 0], error_map(picture, each.image))
    np.testing.assert_array_equal(columns[1][336:, :, 1], exhibits[0].map)
    assert (columns[2][336:] == 255).all()


def test_a_gallery_shows_the_middle_of_a_large_picture(kodim):
    sheet = hang(kodim, [Exhibit("same", kodim, 10**4, 1.0, 1.0)])
    assert (sheet[56 : 56 + 512, :512] == kodim[:, 128:640]).all()
