"""JPEG on a lossy link: it must be given its best."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks.metrics import psnr
from farlook.benchmarks.restart_jpeg import RestartJpeg, conceal, interval_within, unit_side, units

BUDGET, MTU = 2600, 256


@pytest.fixture(scope="module", params=["grey", "rgb"])
def picture(request, kodim, grey):
    """A piece of the photograph, grey and RGB, of sides that no MCU divides: 243 x 130 pixels."""
    return np.ascontiguousarray((grey if request.param == "grey" else kodim)[180:310, 240:483])


@pytest.fixture(scope="module")
def jpeg(picture):
    found = RestartJpeg.encode(picture, BUDGET, MTU)
    assert found is not None
    return found


def test_it_is_a_jpeg_within_the_budget_that_others_read(jpeg, picture):
    data = jpeg.join([])
    assert 0.95 * BUDGET < len(data) <= BUDGET
    with Image.open(BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert psnr(picture, np.asarray(image)) > 25
    assert (jpeg.decode([]) == np.asarray(Image.open(BytesIO(data)))).all()


def test_a_budget_that_no_jpeg_keeps_is_none(picture):
    assert RestartJpeg.encode(picture, 100, MTU) is None


def test_there_is_a_segment_for_every_interval(jpeg, picture):
    rows, columns = units(picture.shape)
    assert len(jpeg.segments) == -(-rows * columns // jpeg.interval)
    assert len(jpeg.segments) > 8  # the markers' numbers start anew


def test_packets_hold_every_segment_once_and_no_more_than_the_mtu(jpeg):
    packets = jpeg.packets(MTU)
    assert [number for packet in packets for number in packet] == list(range(len(jpeg.segments)))
    for packet in packets:
        assert sum(len(jpeg.segments[number]) + 2 for number in packet) <= MTU


def test_a_segment_longer_than_a_packet_is_in_several():
    jpeg = RestartJpeg(b"", (b"x" * 10, b"x" * 100, b"x" * 3, b"x" * 30), 1, (8, 32))
    assert jpeg.packets(40) == [[0], [1], [1], [1, 2], [3]]


def test_what_arrives_is_drawn_as_if_nothing_were_lost(jpeg, picture):
    lost = [0, 3, 4, len(jpeg.segments) - 1]
    clean, decoded = jpeg.decode([]), np.asarray(Image.open(BytesIO(jpeg.join(lost))))
    side = unit_side(picture.ndim == 2)
    gone = np.kron(jpeg.lost_units(lost), np.ones((side, side), bool))[:130, :243]
    assert gone.any()
    assert not gone.all()
    if picture.ndim == 2:
        assert (decoded[~gone] == clean[~gone]).all()
    else:  # the chroma of neighbours is smoothed into them
        assert np.median(np.abs(decoded[~gone].astype(int) - clean[~gone])) == 0
    assert decoded[gone].std() < clean[gone].std()


def test_concealment_is_better_than_grey(jpeg, picture):
    lost = list(range(0, len(jpeg.segments), 5))
    grey = np.asarray(Image.open(BytesIO(jpeg.join(lost))))
    concealed = jpeg.decode(lost)
    assert psnr(picture, grey) + 3 < psnr(picture, concealed) < psnr(picture, jpeg.decode([]))


def test_all_lost_is_grey(jpeg):
    assert (jpeg.decode(range(len(jpeg.segments))) == 128).all()


def test_lost_rows_are_lines_between_those_around_them():
    ramp = np.repeat(np.arange(0, 240, 6, dtype=np.uint8)[:, None], 16, axis=1)
    lost = np.zeros((5, 2), bool)
    lost[2, 0] = True
    damaged = ramp.copy()
    damaged[16:24, :8] = 0
    conceal(damaged, lost)
    assert (damaged == ramp).all()


def test_rows_at_the_rim_are_repeated():
    picture = np.full((24, 8), 50, np.uint8)
    picture[:8], picture[16:] = 0, 0
    conceal(picture, np.array([[True], [False], [True]]))
    assert (picture == 50).all()


def test_intervals_shrink_until_half_a_packet_holds_one():
    shape = (512, 768, 3)
    assert interval_within(shape, 12288, 1024) == 48
    assert interval_within(shape, 12288, 256) == 12
    assert interval_within(shape[:2], 12288, 1024) == 96
    assert interval_within(shape[:2], 12288, 256) == 48
    assert interval_within((16, 16, 3), 10**6, 64) == 1
