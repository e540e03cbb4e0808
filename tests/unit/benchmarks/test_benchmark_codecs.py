"""Every codec behind the benchmarks' protocol."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import features

pytest.importorskip("imagecodecs")

from farlook.benchmarks.codecs import CODECS, choose, codec_list, library, open_codec, reconstruct
from farlook.benchmarks.metrics import psnr
from farlook.runtime.errors import FarlookError, MissingExtraError, UsageError

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


def test_jpeg_2000_keeps_its_rate_and_says_not_who_made_it(picture):
    data = open_codec("j2k").encode(picture, 0.5)
    assert data.startswith(b"\xff\x4f\xff\x51")
    assert 0.9 * 0.5 < 8 * len(data) / (160 * 128) <= 0.5
    for name in ("j2k", "htj2k"):
        data = open_codec(name).encode(picture, 0.5)
        assert b"Open" not in data
        assert reconstruct(open_codec(name), data, picture).shape == picture.shape


def test_jpeg_2000_transforms_the_colours(picture):
    """Without it RGB at a bit a pixel is far worse than grey."""
    codec = open_codec("j2k")
    assert psnr(picture, codec.decode(codec.encode(picture, 1.0))) > 30


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


def test_a_missing_library_names_the_extra():
    with pytest.raises(MissingExtraError, match=r"farlook\[bench\]"):
        library("no_such_library_anywhere")


def test_mozjpeg_is_not_mistaken_for_another_cjpeg(tmp_path, monkeypatch):
    program = tmp_path / "cjpeg"
    program.write_text("#!/bin/sh\necho libjpeg-turbo version 3.0.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FarlookError, match="mozjpeg"):
        CODECS["mozjpeg"]()
