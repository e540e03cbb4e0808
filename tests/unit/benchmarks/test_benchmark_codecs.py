"""Every codec behind the benchmarks' protocol."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import features

pytest.importorskip("imagecodecs")

from farlook.benchmarks.codecs import CODECS, choose, codec_list, open_codec, reconstruct
from farlook.benchmarks.metrics import psnr
from farlook.runtime.errors import FarlookError, UsageError

NAMES = ["block8-paper", "jpeg", "j2k", "htj2k", "webp", "jxl"] + ["avif"] * features.check("avif")


@pytest.fixture(scope="module", params=["grey", "rgb"])
def picture(request, kodim, grey):
    """A piece of the photograph, grey and RGB: 160 x 128 pixels."""
    return np.ascontiguousarray((grey if request.param == "grey" else kodim)[180:308, 240:400])


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_go_from_small_and_bad_to_large_and_good(name, picture):
    codec = open_codec(name)
    files = [codec.encode(picture, codec.settings[index]) for index in (0, len(codec.settings) // 2, -1)]
    pictures = [reconstruct(codec, data, picture) for data in files]
    for decoded in pictures:
        assert (decoded.shape, decoded.dtype) == (picture.shape, np.uint8)
    figures = [psnr(picture, decoded) for decoded in pictures]
    assert len(files[0]) < len(files[1]) <= len(files[2])
    assert figures[0] < figures[1] <= figures[2]
    assert figures[-1] > 25


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name):
    codec = open_codec(name)
    assert codec.name == name
    assert any(sign.isdigit() for sign in codec.description)


def test_a_codec_is_opened_once():
    assert open_codec("jpeg") is open_codec("jpeg")


def test_an_unknown_name_lists_all():
    with pytest.raises(UsageError, match=r"'gif'.*jpeg.*avif"):
        open_codec("gif")


def test_what_is_missing_is_left_out_unless_asked_for(monkeypatch):
    def missing():
        raise FarlookError("not here")

    monkeypatch.setitem(CODECS, "absent", missing)
    assert choose(None, ("absent", "jpeg")) == (["jpeg"], {"absent": "not here"})
    with pytest.raises(FarlookError, match="not here"):
        choose(["absent"], ("jpeg",))
    assert choose(["webp"], ("jpeg",)) == (["webp"], {})


def test_the_list_says_what_is_missing():
    text = codec_list([open_codec("jpeg")], {"mozjpeg": "not built"})
    assert text.splitlines()[0].startswith("- `jpeg`: libjpeg-turbo ")
    assert text.splitlines()[1] == "- `mozjpeg` was left out: not built"
