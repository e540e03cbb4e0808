"""Original, JPEG and farlook side by side."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.benchmarks.compare import Panel, caption, compare, draw
from farlook.benchmarks.metrics import psnr
from farlook.runtime.codec import Codec
from farlook.runtime.errors import TargetError

GAP, CAPTION = 8, 34


@pytest.fixture(scope="module", params=["grey", "rgb"])
def picture(request, kodim, grey):
    """A piece of the photograph, grey and RGB: 240 x 160 pixels."""
    return np.ascontiguousarray((grey if request.param == "grey" else kodim)[180:340, 240:480])


@pytest.fixture(scope="module")
def panels(picture, codec):
    """The piece at a rate that JPEG reaches."""
    return compare(picture, codec, 0.6)


def test_there_is_the_original_then_jpeg_then_farlook(panels, picture):
    assert [panel.name for panel in panels] == ["original", "JPEG", "block8-paper"]
    for panel in panels:
        assert (panel.image.shape, panel.image.dtype) == (picture.shape, np.uint8)
    assert (panels[0].image == picture).all()
    assert (panels[0].size, panels[0].encode_ms, panels[0].decode_ms) == (0, None, None)


def test_both_keep_the_rate_and_are_timed(panels):
    for panel in panels[1:]:
        assert 0.25 < panel.bpp <= 0.6
        assert panel.bpp == 8 * panel.size / (240 * 160)
        assert panel.encode_ms > 0
        assert panel.decode_ms > 0


def test_the_panel_of_farlook_is_what_its_stream_decodes_to(panels, picture, codec):
    stream = codec.encode(picture, bpp=0.6)
    assert panels[2].size == len(stream)
    assert (panels[2].image == codec.decode(stream)).all()


def test_block8_is_shown_by_each_of_its_decoders(picture):
    codec = Codec.load("block8", threads=1)
    if codec.choose_decoder("auto")[0] is None:
        pytest.skip("no backend runs networks here")
    *_, linear, neural = compare(picture, codec, 0.6)
    assert (linear.name, neural.name) == ("block8", "block8, neural decoder")
    assert linear.size == neural.size
    assert psnr(picture, neural.image) > psnr(picture, linear.image)


def test_jpeg_is_left_out_where_it_has_nothing_so_small(picture, codec):
    assert [panel.name for panel in compare(picture, codec, 0.08)] == ["original", "block8-paper"]


def test_a_rate_that_farlook_does_not_reach_is_an_error(picture, codec):
    with pytest.raises(TargetError):
        compare(picture, codec, 0.001)


def test_captions_say_size_rate_and_psnr(panels, picture):
    assert caption(picture, panels[0]) == "original, 240x160"
    for panel in panels[1:]:
        expected = (
            f"{panel.name}: {panel.size} bytes, {panel.bpp:.3f} bpp, {psnr(picture, panel.image):.2f} dB"
        )
        assert caption(picture, panel) == expected


def test_a_caption_can_be_infinitely_good(picture):
    assert caption(picture, Panel("same", picture, 10)).endswith("inf dB")


def as_rgb(image):
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def cells(panels, picture):
    """The sheet, cut into one piece a panel."""
    sheet = draw(picture, panels)
    assert (sheet.dtype, sheet.shape[0], sheet.shape[2]) == (np.uint8, 160 + CAPTION, 3)
    width, rest = divmod(sheet.shape[1] + GAP, len(panels))
    assert rest == 0
    return [sheet[:, index * width : (index + 1) * width] for index in range(len(panels))]


def test_a_sheet_holds_every_panel_pixel_for_pixel(cells, panels):
    for cell, panel in zip(cells, panels, strict=True):
        assert (cell[CAPTION:, :240] == as_rgb(panel.image)).all()
        assert (cell[CAPTION:, 240:] == 255).all()


def test_no_caption_runs_into_the_next(cells):
    for cell in cells:
        assert cell[:CAPTION].min() < 128
        assert (cell[:CAPTION, -1] == 255).all()


def test_a_sheet_shows_the_middle_of_a_large_picture(panels, picture):
    sheet = draw(picture, panels[:1], crop=64)
    assert sheet.shape[0] == 64 + CAPTION
    assert (sheet[CAPTION:, :64] == as_rgb(picture)[48:112, 88:152]).all()


def test_a_sheet_of_wide_panels_has_nothing_between_them_but_the_gap(kodim):
    sheet = draw(kodim, [Panel("one", kodim, 10**4), Panel("two", kodim, 10**4)])
    assert sheet.shape == (512 + CAPTION, 2 * 512 + GAP, 3)
    assert (sheet[CAPTION:, -512:] == kodim[:, 128:640]).all()
