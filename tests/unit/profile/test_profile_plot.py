"""The plot is a PNG for one direction and for two, and needs matplotlib."""

import io
import sys

import pytest
from PIL import Image

from farlook.runtime.errors import MissingExtraError
from farlook.runtime.profile.plot import draw


@pytest.mark.parametrize("phases", [1, 2])
def test_a_picture_comes_out(made, phases):
    pytest.importorskip("matplotlib")
    made.phases = made.phases[:phases]
    with Image.open(io.BytesIO(draw(made, "title"))) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_a_stage_without_time_and_a_single_frame(made):
    pytest.importorskip("matplotlib")
    made.phases = made.phases[:1]
    made.phases[0].frames = made.phases[0].frames[:1]
    made.phases[0].frames[0].stages["stream"] = 0.0
    assert draw(made, "title").startswith(b"\x89PNG")


def test_without_matplotlib(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"farlook\[calibrate\]"):
        draw(made, "title")
