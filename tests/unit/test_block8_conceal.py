"""block8's packets, some of them lost: what is there is shown, what is not is filled in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farlook.runtime.block8.conceal import fill_in
from farlook.runtime.block8.stream import read_packet, read_stream, split_packets
from farlook.runtime.errors import StreamError, TruncatedStreamError


def psnr(image, reference):
    error = np.mean((image.astype(float) - reference) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.fixture(scope="module")
def stream(block8, kodim):
    return block8.encode(kodim, bpp=0.25, mtu=256)


@pytest.fixture(scope="module")
def packets(stream):
    return split_packets(stream)


def without(packets, lost):
    return [packet for number, packet in enumerate(packets) if number not in lost]


@given(st.data())
def test_any_packets_in_any_order_show_a_picture(block8, kodim, packets, data):
    count = len(packets)
    lost = data.draw(st.sets(st.integers(0, count - 1), max_size=count // 2))
    kept = [packets[number] for number in data.draw(st.permutations(sorted(set(range(count)) - lost)))]
    picture = block8.decode_lossy(kept)
    assert picture.packets == len(kept)
    assert picture.image.shape == kodim.shape
    assert picture.lost_units == picture.concealed.sum() / 16
    assert picture.concealed.any() == bool(lost)
    assert psnr(picture.image, kodim) > 17


def test_blocks_far_from_a_lost_packet_are_as_they_were(block8, stream, packets):
    whole = block8.decode(stream)
    picture = block8.decode_lossy(without(packets, {len(packets) // 2}))
    changed = (picture.image != whole).any(axis=2)
    touched = np.pad(picture.mask > 0, 16)
    near = np.zeros_like(changed)
    for dy in range(-12, 13, 4):
        for dx in range(-12, 13, 4):
            near |= touched[16 + dy : 16 + dy + changed.shape[0], 16 + dx : 16 + dx + changed.shape[1]]
    assert changed.any()
    assert not (changed & ~near).any()


def test_a_lost_packet_costs_its_own_units(block8, kodim):
    stream = block8.encode(kodim, bpp=0.25, mtu=256, interleave=False)
    header, read = read_stream(stream)
    packets = split_packets(stream)
    for number in (0, 3, len(packets) - 1):
        picture = block8.decode_lossy(without(packets, {number}))
        assert picture.lost_units == read[number].count
        units = picture.concealed[::4, ::4].reshape(-1)
        lost = np.flatnonzero(units)
        assert lost.tolist() == list(range(read[number].first, read[number].first + read[number].count))
    assert header.geometry.units == picture.units


def test_around_lost_units_of_an_interleaved_packet_are_others(block8, stream, packets):
    header, read = read_stream(stream)
    assert header.interleaved
    for number in range(len(packets)):
        picture = block8.decode_lossy(without(packets, {number}))
        assert picture.lost_units == read[number].count
        lost = picture.concealed[::4, ::4]
        assert not (lost[1:] & lost[:-1]).any()
        assert not (lost[:, 1:] & lost[:, :-1]).any()


def test_a_whole_stream_loses_nothing(block8, stream, packets):
    for pieces in (stream, bytearray(stream), packets, packets[::-1], packets * 2):
        picture = block8.decode_lossy(pieces)
        assert not picture.concealed.any()
        np.testing.assert_array_equal(picture.image, block8.decode(stream))


def test_damaged_packets_count_as_lost(block8, packets):
    damaged = [bytearray(packet) for packet in packets]
    for number in (2, 5, 9):
        damaged[number][-3] ^= 0x10
    expected = block8.decode_lossy(without(packets, {2, 5, 9}))
    for pieces in (damaged, b"".join(damaged)):
        picture = block8.decode_lossy(pieces)
        np.testing.assert_array_equal(picture.image, expected.image)


def test_a_stream_with_a_hole_is_read_on_after_it(block8, stream, packets):
    begin = sum(map(len, packets[:6]))
    for cut in (stream[: begin + 20] + stream[begin + 70 :], stream[:-200], stream[9:]):
        picture = block8.decode_lossy(cut)
        assert 0 < picture.concealed.mean() < 0.2
        with pytest.raises((StreamError, TruncatedStreamError)):
            block8.decode(cut)


def test_packets_that_check_but_do_not_decode_count_as_lost(block8, monkeypatch, packets):
    import farlook.runtime.block8.conceal as module

    wrong = read_packet(packets[4], read_stream(b"".join(packets))[0].raw)
    decode = block8._core.decode

    def refuse(geometry, group, coefficients, **options):
        if any(packet.first == wrong.first for packet in group):
            coefficients.known[wrong.first : wrong.first + 2] = 1  # what was decoded before the end
            raise module.CorruptStreamError("holds what no encoder writes")
        return decode(geometry, group, coefficients, **options)

    monkeypatch.setattr(block8._core, "decode", refuse)
    picture = block8.decode_lossy(packets)
    assert picture.lost_units == wrong.count
    np.testing.assert_array_equal(picture.image, block8.decode_lossy(without(packets, {4})).image)


def test_without_any_header_nothing_can_be_decoded(block8, stream, packets):
    with pytest.raises(StreamError, match="no packet with the stream's header is whole"):
        block8.decode_lossy([packets[3], packets[5]])
    for pieces in ([], b"", b"hello", [b"", b"x" * 500]):
        with pytest.raises(StreamError):
            block8.decode_lossy(pieces)


def test_losing_a_tenth_costs_less_than_half_of_what_grey_patches_would(block8, kodim, packets):
    picture = block8.decode_lossy(without(packets, set(range(5, len(packets), 10))))
    patched = np.where(picture.mask[..., None] > 0, 128, picture.image)
    assert psnr(picture.image, kodim) > psnr(patched, kodim) + 4


@pytest.mark.parametrize("size", [(1, 1), (33, 65), (100, 7)])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_small_pictures_of_lost_packets(block8, kodim, grey, size, channels):
    image = (kodim if channels == "rgb" else grey)[: size[0], : size[1]]
    packets = split_packets(block8.encode(image, quality=95, mtu=64))
    picture = block8.decode_lossy(packets[:1])
    assert picture.image.shape == image.shape
    assert picture.concealed.shape == (-(-size[0] // 8), -(-size[1] // 8))
    assert picture.mask.shape == size
    assert (picture.lost_units > 0) == (len(packets) > 1)


def test_the_mask_is_white_where_blocks_were_filled_in(block8, packets):
    picture = block8.decode_lossy(without(packets, {7}))
    assert set(np.unique(picture.mask)) == {0, 255}
    np.testing.assert_array_equal(picture.mask[::8, ::8] > 0, picture.concealed)


def test_a_ramp_is_filled_in_exactly():
    ramp = np.add.outer(np.arange(40), 3 * np.arange(60)).astype(np.float32)
    known = np.ones(ramp.shape, bool)
    known[12:16, 20:28] = False
    np.testing.assert_allclose(fill_in(np.where(known, ramp, 0), known), ramp, atol=0.5)


def test_filling_in_stays_between_what_is_known():
    values = np.random.default_rng(3).uniform(-5, 9, (30, 50)).astype(np.float32)
    known = np.random.default_rng(4).random((30, 50)) < 0.3
    filled = fill_in(values, known)
    np.testing.assert_array_equal(filled[known], values[known])
    assert values[known].min() <= filled.min()
    assert filled.max() <= values[known].max()


def test_nothing_known_is_nothing():
    assert not fill_in(np.ones((5, 9), np.float32), np.zeros((5, 9), bool)).any()
