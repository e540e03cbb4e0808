"""The encoder that takes a frame row by row gives the bytes of the one that takes it whole."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.runtime.errors import ImageError, UsageError


def streamed(block8, image, piece, **options):
    """The bytes that come out as rows go in, and the most that came at once."""
    depth = options.get("depth", 8)
    bands = 1 if image.ndim == 2 else 3
    encoder = block8.stream_encoder(image.shape[1], image.shape[0], bands=bands, **options | {"depth": depth})
    parts = [encoder.push(image[row : row + piece]) for row in range(0, len(image), piece)]
    return b"".join([*parts, encoder.finish()])


@pytest.mark.parametrize(
    "size", [(1, 1), (7, 9), (33, 65), (200, 100), (500, 700)], ids="{0[0]}x{0[1]}".format
)
@pytest.mark.parametrize("piece", [1, 5, 32, 1000])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_rows_in_any_number_give_the_same_stream(block8, kodim, grey, size, piece, channels):
    image = (kodim if channels == "rgb" else grey)[: size[0], : size[1]]
    assert streamed(block8, image, piece, quality=40, mtu=500) == block8.encode(image, quality=40, mtu=500)


@pytest.mark.parametrize("piece", [1, 48, 4000])
def test_slices_leave_no_trace(block8, kodim, piece):
    wide = np.concatenate([kodim[:150]] * 8, axis=1)
    assert streamed(block8, wide, piece) == block8.encode(wide)


@pytest.mark.parametrize("depth", [10, 16])
def test_deep_rows(block8, grey, depth):
    image = grey[:70, :90].astype(np.uint16) << (depth - 8)
    assert streamed(block8, image, 3, depth=depth) == block8.encode(image, depth=depth)


def test_one_row_may_come_without_its_dimension(block8, kodim):
    encoder = block8.stream_encoder(90, 40, bands=3)
    stream = b"".join([encoder.push(row) for row in kodim[:40, :90]]) + encoder.finish()
    assert stream == block8.encode(kodim[:40, :90])


def test_views_and_no_rows_at_all_are_taken(block8, kodim):
    image = kodim[:80:2, 100:20:-1]
    encoder = block8.stream_encoder(80, 40, bands=3)
    parts = [encoder.push(image[:0]), encoder.push(image[:17]), encoder.push(image[17:])]
    assert b"".join(parts) + encoder.finish() == block8.encode(image)


def test_packets_come_before_the_picture_is_over(block8, kodim):
    encoder = block8.stream_encoder(768, 512, bands=3, quality=60, mtu=400)
    first = encoder.push(kodim[:100])
    assert first == block8.encode(kodim, quality=60, mtu=400)[: len(first)]
    assert len(first) > 400


@pytest.mark.parametrize(("bands", "depth"), [(1, 8), (3, 8), (3, 16)])
def test_a_line_of_16384_pixels_takes_less_than_4_megabytes(block8, bands, depth):
    assert block8.stream_encoder(16384, 16384, bands=bands, depth=depth, mtu=16384).memory_bytes < 4_000_000


def test_rows_of_another_kind_are_refused(block8, kodim):
    encoder = block8.stream_encoder(90, 40, bands=3)
    for rows in (kodim[:4, :91], kodim[:4, :90, 0], kodim[:4, :90].astype(np.uint16), kodim[None, :4, :90]):
        with pytest.raises(ImageError, match=r"rows of this picture are uint8 \[rows, 90, 3\]"):
            encoder.push(rows)
    deep = block8.stream_encoder(8, 8, depth=9)
    with pytest.raises(ImageError, match="more than 9 bits"):
        deep.push(np.full((1, 8), 512, np.uint16))


def test_too_many_or_too_few_rows_are_refused(block8, grey):
    encoder = block8.stream_encoder(50, 40)
    with pytest.raises(UsageError, match="has 40 rows, but 41 were pushed"):
        encoder.push(grey[:41, :50])
    encoder.push(grey[:39, :50])
    with pytest.raises(UsageError, match="has 40 rows, but only 39 were pushed"):
        encoder.finish()
    assert encoder.push(grey[39:40, :50]) + encoder.finish() == block8.encode(grey[:40, :50])


@pytest.mark.parametrize(
    "arguments",
    [
        {"width": 0},
        {"width": 16385},
        {"height": 10.5},
        {"bands": 4},
        {"depth": 7},
        {"quality": 101},
        {"mtu": 20},
    ],
    ids=str,
)
def test_numbers_outside_their_range_are_refused(block8, arguments):
    with pytest.raises(UsageError):
        block8.stream_encoder(**{"width": 64, "height": 64} | arguments)
