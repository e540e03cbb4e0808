"""Coders to be timed: settings, turns, memory."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from farlook.benchmarks.timing import (
    CODERS,
    interleaved,
    load_average,
    now,
    open_coder,
    peak_memory,
    setting_near,
)
from farlook.runtime.errors import UsageError


@pytest.fixture(params=["grey", "rgb"])
def picture(request, kodim, grey):
    """A piece of the photograph, grey and RGB: 240 x 160 pixels."""
    return np.ascontiguousarray((grey if request.param == "grey" else kodim)[180:340, 240:480])


@pytest.fixture(params=["block8", "libjpeg", "htj2k"])
def coder(request, picture, block8):
    pytest.importorskip({"block8": "numpy", "libjpeg": "simplejpeg", "htj2k": "imagecodecs"}[request.param])
    return open_coder(request.param, picture.ndim == 2)


def test_it_codes_grey_and_rgb(coder, picture):
    data = coder.encode(picture, coder.setting(0.7))
    decoded = coder.decode(data).reshape(picture.shape)
    assert np.abs(decoded.astype(int) - picture).mean() < 12
    assert coder.description


def test_settings_go_from_small_to_large(coder, picture):
    sizes = [len(coder.encode(picture, coder.setting(fineness))) for fineness in (0, 0.3, 0.6, 1)]
    assert sizes == sorted(set(sizes))


def test_the_nearest_setting_is_found(coder, picture):
    size = len(coder.encode(picture, coder.setting(0.5)))
    found = len(coder.encode(picture, setting_near(coder, picture, size)))
    assert found == pytest.approx(size, rel=0.03)
    smallest = len(coder.encode(picture, coder.setting(0)))
    assert len(coder.encode(picture, setting_near(coder, picture, 1))) == smallest


def test_an_unknown_coder_lists_all():
    with pytest.raises(UsageError, match=", ".join(CODERS)):
        open_coder("gif", True)


def test_tasks_take_turns():
    log = []
    times = interleaved([lambda: log.append("a"), lambda: log.append("b")], 3)
    assert "".join(log) == "ab" * 4
    assert [len(row) for row in times] == [3, 3]


def test_times_of_day_can_be_compared_and_load_is_a_number():
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", now())
    assert load_average() is None or 0 <= load_average() < 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_what_coding_takes_beside_the_frame(tmp_path):
    pytest.importorskip("imagecodecs")
    frame, stream = tmp_path / "frame.npy", tmp_path / "stream"
    image = np.random.default_rng(1).integers(0, 256, (1500, 2000), np.uint8)
    np.save(frame, image)
    stream.write_bytes(open_coder("htj2k", True).encode(image, 0.01))
    # The codestream of noise alone is about as large as the frame, 3 MB.
    assert 1e6 < peak_memory("htj2k", frame, 0.01) < 100e6
    assert 0 <= peak_memory("htj2k", frame, 0.01, stream) < 100e6
