"""block8's C core from Python: hostile tables and payloads, and pictures of every size and kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farlook.kernels.block8 import (
    STEPS,
    Coefficients,
    Core,
    Encoder,
    Geometry,
    Packet,
    slice_rows,
    step_size,
    variants,
)
from farlook.kernels.block8_tables import GROUPS, Tables, rows_of, sign_rows_of
from farlook.runtime.block8.stream import read_packet
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BundleError, CorruptStreamError, UsageError

HEAD = 4
MOST = (1 << 32) - 1


@pytest.fixture(scope="module")
def packed():
    return find_bundle("block8").tables()


@pytest.fixture(scope="module")
def cores(packed):
    """One core for each variant that this processor has."""
    return cores_of(Tables.unpack(packed))


GEOMETRIES = st.builds(
    Geometry, st.integers(1, 80), st.integers(1, 80), st.sampled_from([1, 3]), st.integers(8, 16)
)


def picture(geometry, seed):
    """A picture of noise, edges and flat parts."""
    rng = np.random.default_rng(seed)
    shape = (geometry.height, geometry.width, *([3] if geometry.bands == 3 else []))
    top = (1 << geometry.depth) - 1
    levels = rng.integers(0, top + 1, (4, 4, *shape[2:]))
    tiled = np.repeat(np.repeat(levels, -(-shape[0] // 4), 0), -(-shape[1] // 4), 1)[: shape[0], : shape[1]]
    noise = rng.normal(0, rng.choice([0, top / 64, top / 4]), shape)
    kind = np.uint8 if geometry.depth == 8 else np.uint16
    return np.clip(tiled + noise, 0, top).astype(kind)


def decoded(core, geometry, packets, **options):
    """Coefficients of packets; None if they are refused."""
    coefficients = Coefficients(geometry)
    coefficients.entries[:] = 0
    try:
        core.decode(geometry, packets, coefficients, **options)
    except CorruptStreamError:
        return None
    return coefficients


def check_same(results):
    """All variants refuse, or all give the same coefficients and pixels."""
    assert len({result is None for _, result in results}) == 1
    first = results[0][1]
    if first is None:
        return
    images = []
    for core, result in results:
        for name in ("means", "starts", "counts", "known", "entries"):
            assert np.array_equal(getattr(first, name), getattr(result, name)), (core.variant, name)
        geometry = result.geometry
        shape = (geometry.height, geometry.width, geometry.bands)
        images.append(np.zeros(shape, np.uint8 if geometry.depth == 8 else np.uint16))
        core.synthesise(geometry, 0, geometry.units_y, result, images[-1])
        assert np.array_equal(images[0], images[-1]), core.variant


def test_tables_pack_and_unpack(packed):
    assert Tables.unpack(packed).pack() == packed


@given(st.one_of(st.binary(max_size=200), st.builds(lambda tail: b"B8T2" + tail, st.binary(max_size=900))))
def test_garbage_is_no_tables(garbage):
    with pytest.raises(BundleError):
        Tables.unpack(garbage)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 3))
def test_tables_cut_short_or_too_long_are_refused(packed, where, more):
    with pytest.raises(BundleError):
        Tables.unpack(packed[: int(where * len(packed))])
    with pytest.raises(BundleError):
        Tables.unpack(packed + bytes(more + 1))


@given(st.data())
@settings(max_examples=20)
def test_changed_tables_are_refused_or_mean_something(packed, data):
    size = data.draw(st.sampled_from([32, 200, len(packed)]))
    damaged = bytearray(packed)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(HEAD, size - 1))] = data.draw(st.integers(0, 255))
    try:
        tables = Tables.unpack(bytes(damaged))
    except BundleError:
        return
    assert tables.pack() == bytes(damaged)
    geometry = Geometry(70, 40, 3, 8)
    payload = np.random.default_rng(1).bytes(200)
    check_same([(core, decoded(core, geometry, [Packet(0, 6, 300, payload)])) for core in cores_of(tables)])


def cores_of(tables):
    return [Core(tables, variant) for variant in variants()]


def hostile_tables(packed, seed):
    """The tables with the most extreme logits and probabilities that `unpack` lets through."""
    rng = np.random.default_rng(seed)
    tables = Tables.unpack(packed)
    one = tables.sets[0]
    extremes = np.array([-128, -127, 0, 127], np.int8)
    made = type(one)(
        rows=tuple(rng.choice(extremes, (rows_of(groups), 64)) for groups in GROUPS),
        signs=tuple(rng.choice(extremes, (sign_rows_of(groups), 16)) for groups in GROUPS),
        levels=tuple(rng.choice([1, 32767], len(levels)).astype(np.uint16) for levels in one.levels),
        roots=tuple(rng.choice([1, 32767], len(roots)).astype(np.uint16) for roots in one.roots),
        skip=rng.choice([1, 32767], len(one.skip)).astype(np.uint16),
    )
    scans = tuple(np.concatenate([scan[:1], rng.permutation(scan[1:])]) for scan in tables.scans)
    return Tables.unpack(Tables(scans, tables.decisions, 60000, (0,), (made,)).pack())


@pytest.mark.parametrize("seed", range(6))
def test_hostile_tables_crash_nothing_and_all_variants_agree(packed, seed):
    tables = hostile_tables(packed, seed)
    geometry = Geometry(70, 70, 1 + 2 * (seed % 2), 8 + seed)
    payload = np.random.default_rng(seed).bytes(2000)
    packet = [Packet(0, geometry.units, 100 * seed, payload)]
    check_same([(core, decoded(core, geometry, packet, has_finer=True)) for core in cores_of(tables)])


@given(
    GEOMETRIES,
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, STEPS - 1), st.binary(max_size=120)), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_any_payload_is_refused_or_gives_the_same_in_all_variants(
    cores, geometry, fields, has_finer, interleaved
):
    packets, first = [], 0
    for count, step, payload in fields:
        if first < geometry.units:
            packets.append(Packet(first, min(count, geometry.units - first), step, payload))
            first += count
    options = {"has_finer": has_finer, "interleaved": interleaved}
    check_same([(core, decoded(core, geometry, packets, **options)) for core in cores])


@given(GEOMETRIES, st.integers(0, 300), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6))
def test_mutated_payloads_crash_nothing(cores, geometry, step, changes):
    framed = cores[0].settings(geometry, step=step, mtu=400)
    packets = cores[0].encode_rows(picture(geometry, step), 0, geometry.units_y, framed)
    mutated = []
    for packet in (read_packet(packet.data, framed.header) for packet in packets):
        payload = bytearray(packet.data)
        for where, value in changes:
            if payload:
                payload[int(where * (len(payload) - 1))] ^= value
        mutated.append(Packet(packet.first, packet.count, packet.step, bytes(payload)))
    check_same([(core, decoded(core, geometry, mutated)) for core in cores])


@pytest.mark.parametrize(
    ("first", "count", "step"),
    [(6, 1, 0), (5, 2, 0), (0, 7, 0), (MOST, 1, 0), (0, MOST, 0), (1, MOST, 0), (0, 1, STEPS)],
)
def test_packets_beyond_the_picture_are_refused(cores, first, count, step):
    for core in cores:
        assert decoded(core, Geometry(70, 40, 1, 8), [Packet(first, count, step, b"abc")]) is None


@given(
    GEOMETRIES,
    st.integers(0, STEPS - 1),
    st.one_of(st.integers(64, 200), st.integers(64, 16384)),
    st.integers(0, 1 << 20),
    st.booleans(),
    st.booleans(),
)
def test_what_is_encoded_decodes_and_all_variants_and_ways_agree(
    cores, geometry, step, mtu, seed, with_finer, interleave
):
    image = picture(geometry, seed)
    rng = np.random.default_rng(seed)
    finer = rng.integers(0, 40, geometry.units).astype(np.uint8) if with_finer else None
    how = cores[0].settings(geometry, step=step, mtu=mtu, finer=finer, interleave=interleave)
    packets = cores[0].encode_rows(image, 0, geometry.units_y, how)
    assert max(len(packet.data) for packet in packets) <= mtu
    for core in cores[1:]:
        assert core.encode_rows(image, 0, geometry.units_y, how) == packets
    core = cores[seed % len(cores)]
    assert (
        core.encode_stored(core.store_rows(image, 0, geometry.units_y, how), 0, geometry.units_y, how)
        == packets
    )
    encoder, pushed, row = Encoder(core, 0, geometry.units_y, how), [], 0
    while row < geometry.height:
        rows = int(rng.integers(1, 40))
        pushed += encoder.push(image[row : row + rows])
        row += rows
    assert pushed == packets
    payloads = [read_packet(packet.data, how.header) for packet in packets]
    assert [(p.first, p.count, p.step) for p in payloads] == [(p.first, p.count, p.step) for p in packets]
    options = {"has_finer": with_finer, "interleaved": interleave}
    results = [(core, decoded(core, geometry, payloads, **options)) for core in cores]
    check_same(results)
    assert results[0][1].known.all()


@pytest.mark.parametrize("size", [(400, 300), (32, 500), (500, 32), (33, 65), (353, 97)])
def test_interleaved_packets_hold_no_units_that_touch(cores, size):
    geometry = Geometry(*size, 1, 8)
    how = cores[0].settings(geometry, step=300, mtu=500, interleave=True)
    framed = cores[0].encode_rows(picture(geometry, 3), 0, geometry.units_y, how)
    owners = np.full((geometry.units_y, geometry.units_x), -1)
    for number, packet in enumerate(read_packet(packet.data, how.header) for packet in framed):
        known = decoded(cores[0], geometry, [packet], interleaved=True).known.reshape(owners.shape) != 0
        assert known.sum() == packet.count
        assert (owners[known] == -1).all()
        owners[known] = number
    assert (owners >= 0).all()
    assert (owners[:, 1:] != owners[:, :-1]).all()
    assert (owners[1:] != owners[:-1]).all()


@given(
    st.integers(1, 100), st.integers(1, 100), st.integers(8, 16), st.integers(0, 400), st.integers(0, 1 << 20)
)
def test_grey_pictures_come_out_near(cores, width, height, depth, step, seed):
    geometry, core = Geometry(width, height, 1, depth), cores[-1]
    image = picture(geometry, seed)
    how = core.settings(geometry, step=step, mtu=16384)
    packets = core.encode_rows(image, 0, geometry.units_y, how)
    coefficients = decoded(core, geometry, [read_packet(packet.data, how.header) for packet in packets])
    out = np.zeros_like(image)
    core.synthesise(geometry, 0, geometry.units_y, coefficients, out)
    error = (image.astype(float) - out) / (1 << depth - 8)
    assert np.sqrt(np.mean(error**2)) <= 1.5 + 2 * step_size(max(packet.step for packet in packets))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("side", [1, 2, 8, 16, 32])
def test_black_and_white_squares_survive_the_finest_step(cores, side, depth):
    """The border filter overshoots at their edges: block means, and what is predicted of them, are at their largest."""
    squares = (np.indices((128, 128)) // side).sum(0)
    image = ((squares % 2) * ((1 << depth) - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    geometry, core = Geometry(128, 128, 1, depth), cores[-1]
    how = core.settings(geometry, step=0, mtu=16384)
    packets = core.encode_rows(image, 0, geometry.units_y, how)
    coefficients = decoded(core, geometry, [read_packet(packet.data, how.header) for packet in packets])
    out = np.zeros_like(image)
    core.synthesise(geometry, 0, geometry.units_y, coefficients, out)
    assert np.abs(image.astype(float) - out).max() <= 4 << depth - 8


@pytest.mark.parametrize("interleave", [False, True])
def test_slices_are_coded_alone_and_joined_are_the_picture(cores, interleave):
    geometry = Geometry(33, 16384, 1, 8)
    image = np.tile(picture(Geometry(33, 64, 1, 8), 5), (256, 1))
    core, rows = cores[-1], slice_rows(geometry)
    how = core.settings(geometry, step=400, mtu=1024, interleave=interleave)
    whole = core.encode_rows(image, 0, geometry.units_y, how)
    parts = [core.encode_rows(image, begin, begin + rows, how) for begin in range(0, geometry.units_y, rows)]
    assert len(parts) > 1
    assert [packet for part in parts for packet in part] == whole


def test_the_core_says_what_it_cannot_code(cores):
    core = cores[0]
    for geometry, step, mtu, end in [
        (Geometry(8, 8, 1, 8), 0, 64, 2),
        (Geometry(8, 8, 1, 8), 0, 63, 1),
        (Geometry(8, 8, 1, 8), 0, 16385, 1),
        (Geometry(8, 8, 1, 8), STEPS, 64, 1),
        (Geometry(8, 8, 2, 8), 0, 64, 1),
        (Geometry(8, 8, 1, 7), 0, 64, 1),
        (Geometry(0, 8, 1, 8), 0, 64, 1),
        (Geometry(16385, 8, 1, 8), 0, 64, 1),
    ]:
        with pytest.raises(UsageError):
            Encoder(core, 0, end, core.settings(geometry, step=step, mtu=mtu))
