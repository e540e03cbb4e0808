"""The packet loss benchmark: the channel, the senders, the page."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("imagecodecs")
pytest.importorskip("matplotlib")

from farlook.benchmarks.block8_loss import (
    BURST,
    LOSSES,
    Block8Sent,
    Job,
    JpegSent,
    Outcome,
    arrivals,
    main,
    send,
    target_lines,
)
from farlook.benchmarks.metrics import psnr
from farlook.runtime.errors import UsageError


@pytest.fixture
def folder(tmp_path, kodim):
    """One picture of 192 x 160 pixels."""
    made = tmp_path / "kodak"
    made.mkdir()
    Image.fromarray(np.ascontiguousarray(kodim[180:340, 240:432])).save(made / "one.png")
    return made


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("pattern", ["random", "bursts"])
def test_the_share_that_is_lost(loss, pattern):
    kept = arrivals(200_000, loss, pattern, [1, 2])
    assert 1 - kept.mean() == pytest.approx(loss, rel=0.1)


@pytest.mark.parametrize(("pattern", "length"), [("bursts", BURST), ("random", 1 / 0.9)])
def test_how_long_losses_last(pattern, length):
    kept = arrivals(200_000, 0.1, pattern, [3])
    bursts = [len(list(group)) for lost, group in itertools.groupby(~kept) if lost]
    assert np.mean(bursts) == pytest.approx(length, rel=0.05)


def test_a_seed_is_a_draw():
    assert (arrivals(50, 0.4, "bursts", [1]) == arrivals(50, 0.4, "bursts", [1])).all()
    assert (arrivals(50, 0.4, "bursts", [1]) != arrivals(50, 0.4, "bursts", [2])).any()


def test_short_pictures_lose_as_large_a_share_as_long_ones():
    first = [arrivals(1, 0.2, "bursts", [seed])[0] for seed in range(4000)]
    assert 1 - np.mean(first) == pytest.approx(0.2, abs=0.03)


def test_jpeg_is_sent_and_received(grey):
    sent = JpegSent(grey, 12288, 1024)
    kept = np.ones(sent.count, bool)
    clean = psnr(grey, sent.receive(kept))
    kept[sent.count // 2] = False
    assert clean > psnr(grey, sent.receive(kept)) > 25
    assert sent.count >= 12


def test_jpeg_that_cannot_be_so_small_is_an_error(grey):
    with pytest.raises(UsageError, match="higher --bpp"):
        JpegSent(grey, 200, 1024)


def test_block8_is_sent_and_received(grey, block8):
    sent = Block8Sent(grey, 12288, 1024)
    kept = np.ones(sent.count, bool)
    assert psnr(grey, sent.receive(kept)) > 25
    kept[-1] = False
    assert (sent.receive(kept) == 100).all()
    assert (sent.receive(np.zeros(sent.count, bool)) == 128).all(), "what cannot be decoded counts as grey"


def test_more_loss_is_worse(folder):
    outcome = send(Job(folder / "one.png", "luma", 256, "jpeg", 0.6, 10))
    for pattern in ("random", "bursts"):
        figures = [outcome.clean, *(outcome.lossy[pattern, loss] for loss in LOSSES)]
        assert figures[0] >= figures[1]
        assert figures[0] > figures[3] > figures[5]


def test_it_writes_a_page_and_a_plot(folder, tmp_path, block8, capsys):
    arguments = ["--images", str(folder), "--bpp", "0.6", "--draws", "2", "--processes", "1", "--quiet"]
    places = ["--output", str(tmp_path / "page.md"), "--plot", str(tmp_path / "plot.svg")]
    assert main([*arguments, *places]) == 0
    page = (tmp_path / "page.md").read_text()
    assert f"python benchmarks/block8_loss.py --images {folder} --bpp 0.6" in page
    for title in ("## luma, packets of at most 1024 bytes", "## RGB, packets of at most 256 bytes"):
        assert title in page
    for row in ("| block8, random |", "| block8, bursts |", "| jpeg, random ", "| RGB, mtu 256, block8 "):
        assert row in page
    assert "packets of 256 bytes" in (tmp_path / "plot.svg").read_text()
    assert "wrote" in capsys.readouterr().out


def test_an_unknown_codec_is_an_error(folder, tmp_path, capsys):
    arguments = ["--images", str(folder), "--output", str(tmp_path / "page.md")]
    assert main([*arguments, "--codecs", "webp"]) == 2
    assert "--codecs is of block8, jpeg" in capsys.readouterr().err


def test_block8_is_judged_by_what_a_tenth_costs():
    def outcome(cost):
        return [Outcome(12, 30.0, {(pattern, 0.10): 30.0 - cost for pattern in ("random", "bursts")})]

    keys = (("luma", 256, "block8"), ("rgb", 256, "block8"), ("rgb", 256, "jpeg"))
    lines = target_lines(dict(zip(keys, map(outcome, (2.9, 3.1, 1.0)), strict=True)))
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["met", "missed", ""]
