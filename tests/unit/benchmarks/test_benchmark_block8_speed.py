"""The speed benchmark on a small frame: what it writes, not how fast anything is."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("imagecodecs")
pytest.importorskip("simplejpeg")

from farlook.benchmarks import block8_speed
from farlook.benchmarks.block8_speed import Row, main, prepare, ratio_rows, threads_gain


@pytest.fixture
def frames(tmp_path, kodim):
    """A folder with one frame of 320 x 240 pixels."""
    made = tmp_path / "frames"
    made.mkdir()
    Image.fromarray(np.ascontiguousarray(kodim[100:340, 240:560])).save(made / "frame.png")
    return made


def test_an_entry_is_near_its_rate(grey):
    entry = prepare("htj2k", grey, 0.25)
    assert entry.bpp == pytest.approx(0.25, rel=0.02)
    assert entry.psnr > 30
    usual = prepare("libjpeg", grey, None)
    assert usual.setting == 75
    assert len(usual.tasks()) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_it_writes_a_page(frames, tmp_path, capsys):
    output = tmp_path / "page.md"
    arguments = ["--frames", str(frames), "--codecs", "libjpeg,htj2k", "--repeats", "1", "--quiet"]
    assert main([*arguments, "--output", str(output)]) == 0
    page = output.read_text()
    assert "python benchmarks/block8_speed.py --frames" in page
    assert "frame.png, 320x240" in page
    for row in ("RGB, libjpeg, 0.15", "RGB, htj2k, 0.25", "grey, libjpeg, q75"):
        assert f"| {row} " in page
    assert "## Peak memory" in page
    assert "wrote" in capsys.readouterr().out


def test_with_block8_there_are_ratios_and_threads(frames, tmp_path, block8, monkeypatch):
    monkeypatch.setattr(
        block8_speed, "memory", lambda *_: (1.0, 2.0)
    )  # it starts processes without the stand-in
    output = tmp_path / "page.md"
    arguments = ["--frames", str(frames), "--repeats", "1", "--quiet", "--output", str(output)]
    assert main(arguments) == 0
    page = output.read_text()
    assert "## block8's speed over another's" in page
    assert "| RGB, 0.25, encode: htj2k " in page
    assert "block8 on two threads over one" in page


def test_block8_is_judged_by_the_targets():
    def row(coder, rate, encode, decode, mode="rgb"):
        return Row(mode, coder, rate, 0.15, 30.0, encode, decode)

    rows = [row("block8", 0.15, 300, 100), row("libjpeg", 0.15, 600, 1000), row("libjpeg", None, 400, 400)]
    rows += [row("htj2k", 0.15, 100, 100), row("block8", 0.15, 900, 900, "luma")]
    rows += [row("libjpeg", 0.15, 900, 900, "luma")]
    assert ratio_rows(rows) == [
        ["RGB, 0.15, encode: libjpeg", "0.50", "0.50", "1.00", "met"],
        ["RGB, 0.15, encode: libjpeg q75", "0.75", "-", "-", ""],
        ["RGB, 0.15, encode: htj2k", "3.00", "2.00", "2.00", "hope met"],
        ["RGB, 0.15, decode: libjpeg", "0.10", "0.25", "0.25", "missed"],
        ["RGB, 0.15, decode: libjpeg q75", "0.25", "-", "-", ""],
        ["RGB, 0.15, decode: htj2k", "1.00", "-", "-", ""],
        ["grey, 0.15, encode: libjpeg", "1.00", "-", "-", ""],
        ["grey, 0.15, decode: libjpeg", "1.00", "-", "-", ""],
    ]


def test_threads_are_compared_with_one(frames, block8):
    assert all(gain > 0 for gain in threads_gain([frames / "frame.png"], "luma", 0.25, 1))
