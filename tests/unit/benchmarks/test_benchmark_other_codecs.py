"""Other people's codecs: what is particular about each."""

import numpy as np
import pytest

pytest.importorskip("imagecodecs")

from farlook.benchmarks.metrics import psnr
from farlook.benchmarks.other_codecs import Htj2k, Jpeg2000, Mozjpeg, library
from farlook.benchmarks.pictures import luma
from farlook.runtime.errors import FarlookError, MissingExtraError


@pytest.fixture(scope="module", params=["grey", "rgb"])
def picture(request, kodim, grey):
    """A piece of the photograph, grey and RGB: 160 x 128 pixels."""
    return np.ascontiguousarray((grey if request.param == "grey" else kodim)[180:308, 240:400])


def test_jpeg_2000_keeps_its_rate_and_says_not_who_made_it(picture):
    data = Jpeg2000().encode(picture, 0.5)
    assert data.startswith(b"\xff\x4f\xff\x51")
    assert 0.9 * 0.5 < 8 * len(data) / (160 * 128) <= 0.5
    for codec in (Jpeg2000(), Htj2k()):
        data = codec.encode(picture, 0.5)
        assert b"Open" not in data
        assert luma(codec.decode(data)).shape == picture.shape[:2]


def test_jpeg_2000_transforms_the_colours(picture):
    """Without it RGB at a bit a pixel is far worse than grey."""
    codec = Jpeg2000()
    assert psnr(picture, codec.decode(codec.encode(picture, 1.0))) > 30


def test_a_missing_library_names_the_extra():
    with pytest.raises(MissingExtraError, match=r"farlook\[bench\]"):
        library("no_such_library_anywhere")


def test_mozjpeg_is_not_mistaken_for_another_cjpeg(tmp_path, monkeypatch):
    program = tmp_path / "cjpeg"
    program.write_text("#!/bin/sh\necho libjpeg-turbo version 3.0.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FarlookError, match="mozjpeg"):
        Mozjpeg()
