"""A second decoder of the layout "tiles", written from docs/block8-format.md alone: plain, slow, and it must agree."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest

from farlook.kernels.block8 import Coefficients, Core, Geometry, Packet, variants
from farlook.kernels.block8_tables import Tables
from farlook.kernels.checksum import crc32c
from farlook.runtime.block8.stream import PREAMBLE, read_packet
from farlook.runtime.bundle import find_bundle
from farlook.runtime.varint import varint

PLACES, GROUPS = (64, 64, 16, 4), (48, 24, 15, 3)
OCTAVE = [math.floor(256 * 2 ** (j / 64) + 0.5) for j in range(64)]
SIGMOID = [math.floor(32768 / (1 + math.exp((128 - i) / 16)) + 0.5) for i in range(256)]


def runs(values, starts, end):
    """Each value for the places from its start on."""
    return {k: v for v, a, b in zip(values, starts, [*starts[1:], end], strict=True) for k in range(a, b)}


END = runs([*range(11), *range(58, 63)], [1, 2, 3, 4, 5, 7, 9, 11, 14, 17, 21, 26, 32, 39, 47, 55], 64)
ZERO = {k: k + 10 if k < 44 else 54 + (k - 44) // 5 for k in range(1, 64)}
FINE = {k: k - 1 if k < 44 else 43 + (k - 44) // 5 for k in range(1, 64)}
COARSE = {k: k - 1 for k in range(1, 17)} | runs(range(16, 24), [17, 19, 21, 24, 28, 34, 42, 52], 64)
COUNT = runs(range(12), [0, 1, 2, 3, 4, 5, 7, 9, 12, 16, 22, 28], 31)
ROWS, COLUMNS = (
    (11585, 16069, 15137, 13623, 9102, 6270, 3196),
    (23170, 32138, 30274, 27246, 18205, 12540, 6393),
)
UNLAP = (
    (-4744, -9324, 1586, -846),
    (6594, -6557, -7304, -381),
    (984, 4341, -4148, -4387),
    (417, 213, 1475, -2616),
)


def held(value, low, high):
    return max(low, min(high, value))


def divided(a, b):
    return abs(a) // b * (1 if a >= 0 else -1)


def wrapped(values):
    return (values + 32768) % 65536 - 32768


def times(values, constant):
    return (values * constant + 16384) >> 15


class TableFile:
    def __init__(self, data):
        assert data[:4] == b"B8T2"
        self.data, self.at = data, 4
        sets, refinements, self.chroma_finer = self.words(3)
        self.limits = self.words(sets)
        self.words(refinements + 8)
        self.scans = [self.bytes(count, np.uint8).tolist() for count in PLACES]
        self.sets = [self.table_set(refines=False) for _ in range(sets)]
        for _ in range(refinements):
            self.table_set(refines=True)
        assert self.at == len(data)

    def bytes(self, count, kind):
        piece = np.frombuffer(self.data, kind, count, self.at)
        self.at += count
        return piece

    def halves(self, rows):
        return self.bytes(64 * rows, np.int8).reshape(2, rows, 32).astype(int)

    def words(self, count):
        values = struct.unpack_from(f"<{count}H", self.data, self.at)
        self.at += 2 * count
        return values

    def table_set(self, *, refines):
        made = {
            "rows": [np.concatenate(list(self.halves(64 + 6 * g)), axis=1) for g in GROUPS],
            "signs": [
                self.bytes(16 * (40 + 6 * min(g, 16)), np.int8).reshape(-1, 16).astype(int) for g in GROUPS
            ],
            "levels": [self.words(72) for _ in GROUPS],
            "roots": [self.words(112) for _ in range(2)],
            "skip": self.words(5),
        }
        if refines:
            self.words(32)
        return made


class Decisions:
    def __init__(self, payload):
        self.data, self.at, self.range = payload, 0, 2**64 - 1
        self.code = self.word() << 32 | self.word()

    def word(self):
        self.at += 4
        return int.from_bytes(self.data[self.at - 4 : self.at].ljust(4, b"\0"), "big")

    def one(self, p):
        split = (self.range >> 15) * int(p)
        decision = self.code < split
        if decision:
            self.range = split
        else:
            self.code -= split
            self.range -= split
        if self.range < 2**32:
            self.range <<= 32
            self.code = self.code << 32 | self.word()
        return int(decision)

    def even(self, count):
        value = 0
        for _ in range(count):
            value = 2 * value + self.one(16384)
        return value


class Step:
    def __init__(self, tables, index):
        self.q8 = OCTAVE[index % 64] << index // 64
        larger = [number for number, limit in enumerate(tables.limits) if limit > index]
        self.set = tables.sets[larger[0] if larger else -1]

    def dq(self, level):
        return (level * self.q8 + 128) >> 8

    def quarters(self, value):
        return (value * (2**32 // self.q8)) >> 22


@dataclass
class Plane:
    """What the next units ask of a unit's plane; lists of items of the means and of blocks [ny][nx]."""

    means: list = field(default_factory=list)
    root: int = 0
    length: int = 0
    means_list: list = field(default_factory=list)
    lists: list = field(default_factory=list)


class Logits:
    """The sums of a block's rows: of its surroundings, then of its own coefficients."""

    def __init__(self, model, step, gradients, left, above):
        self.table, self.sign_table = step.set["rows"][model], step.set["signs"][model]
        self.groups, self.items = GROUPS[model], 2 * min(GROUPS[model], 16)
        self.rows, self.signs = np.zeros(64, int), np.zeros(16, int)
        for number, gradient in enumerate(gradients):
            level = min(abs(gradient).bit_length(), 7)
            self.add(16 + 8 * number + level)
            self.add_sign(8 * number + level, gradient < 0)
        known = [neighbour for neighbour in (left, above) if neighbour is not None]
        self.add(COUNT[sum(len(neighbour) for neighbour in known) * (3 - len(known))] if known else 12)
        for row, sign_row, neighbour in (
            (56, 40, left),
            (56 + 2 * self.groups, 40 + self.items, above),
        ):
            for item, negative in neighbour or []:
                self.add_item(row, sign_row, item, negative)

    def add(self, row):
        self.rows = np.clip(self.rows + self.table[row], -128, 127)

    def add_sign(self, row, negative):
        self.signs = np.clip(self.signs + (-1 if negative else 1) * self.sign_table[row], -128, 127)

    def add_item(self, row, sign_row, item, negative):
        self.add(row + item)
        if item < self.items:
            self.add_sign(sign_row + item, negative)

    def add_coefficient(self, item, negative, found):
        self.add_item(56 + 4 * self.groups, 40 + 2 * self.items, item, negative)
        self.add(56 + 6 * self.groups + min(found, 7))


def decode_magnitude(decisions, levels, k, part):
    if not decisions.one(levels[16 * (0 if k < 3 else 1 if k < 10 else 2) + part]):
        return 1
    if not decisions.one(levels[48 + part]):
        return 2
    n = 0
    while n < 15 and decisions.one(levels[64 + min(n, 7)]):
        n += 1
    return 2 + 2**n + decisions.even(n)


def decode_block(decisions, tables, model, step, logits):
    """Levels by index, and the list of items."""
    group, places = COARSE if model == 1 else FINE, PLACES[model]
    found, coded = {}, []

    def decide(logit):
        return decisions.one(SIGMOID[logit + 128])

    k, more = 1, not decide(logits.rows[END[1]])
    while more:
        while k < places - 1 and not decide(logits.rows[ZERO[k]]):
            k += 1
        negative = decide(logits.signs[k - 1]) if k <= 16 else decisions.even(1)
        part = (logits.rows[ZERO[k]] + 128) >> 4
        magnitude = decode_magnitude(decisions, step.set["levels"][model], k, part)
        item = 2 * group[k] + (magnitude > 1)
        logits.add_coefficient(item, negative, len(found))
        found[tables.scans[model][k]] = -magnitude if negative else magnitude
        coded.append((item, negative))
        k += 1
        more = k < places and not decide(logits.rows[END[k]])
    return found, coded[:15]


def inverse_means(means, side):
    if side == 2:
        a, b, c, d = means
        return [(s + 1) >> 1 for s in (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d)]
    means = list(means)
    for line in [range(4 * i, 4 * i + 4) for i in range(4)] + [range(i, 16, 4) for i in range(4)]:
        x0, x1, x2, x3 = (means[at] for at in line)
        a, b = (8192 * (x0 + x2) + 8192) >> 14, (8192 * (x0 - x2) + 8192) >> 14
        c, d = (10703 * x1 + 4433 * x3 + 8192) >> 14, (4433 * x1 - 10703 * x3 + 8192) >> 14
        for at, value in zip(line, (a + c, b + d, b - d, a - c), strict=True):
            means[at] = value
    return means


def decode_root(decisions, probabilities, context):
    length = 0
    while decisions.one(probabilities[16 * context + min(length, 15)]):
        length += 1
        assert length <= 16
    magnitude = int(length > 0)
    if length > 1:
        magnitude = 2 | decisions.one(probabilities[96 + min(length, 15)])
        magnitude = magnitude << (length - 2) | decisions.even(length - 2)
    return -magnitude if length and decisions.even(1) else magnitude


def gradient_grid(means, left, above, step):
    ny, nx = len(means), len(means[0])
    g = [[0] * 6 for _ in range(6)]
    for y in range(ny):
        for x in range(nx):
            g[y + 1][x + 1] = step.quarters(means[y][x])
    for x in range(1, nx + 1):
        g[0][x] = 2 * g[1][x] - g[2][x] if ny > 1 else g[1][x]
        if above:
            g[0][x] = step.quarters(above.means[-1][x - 1])
        g[ny + 1][x] = 2 * g[ny][x] - g[ny - 1][x]
    for y in range(ny + 2):
        g[y][0] = 2 * g[y][1] - g[y][2] if nx > 1 else g[y][1]
        if left and 1 <= y <= ny:
            g[y][0] = step.quarters(left.means[y - 1][-1])
        g[y][nx + 1] = 2 * g[y][nx] - g[y][nx - 1]
    return g


def block_gradients(g, y, x):
    twice = 2 * g[y][x]
    return (
        g[y][x + 1] - g[y][x - 1],
        g[y + 1][x] - g[y - 1][x],
        g[y][x - 1] + g[y][x + 1] - twice,
        g[y - 1][x] + g[y + 1][x] - twice,
        g[y - 1][x - 1] + g[y + 1][x + 1] - g[y - 1][x + 1] - g[y + 1][x - 1],
    )


def near_roots(before, over):
    """What units that do not touch say of a root, and of the length of its residual."""
    roots, lengths = [], []
    if before:
        roots.append(before.root)
        lengths.append(before.length)
    if over:
        roots.append(divided(sum(plane.root for plane in over), len(over)))
        lengths.append(max(plane.length for plane in over))
    return roots, lengths


def touching_roots(left, above, side, ny, nx):
    roots = []
    if left:
        roots.append(divided(side * sum(row[-1] for row in left.means), ny))
    if above:
        roots.append(divided(side * sum(above.means[-1]), nx))
    return roots, [known.length for known in (left, above) if known]


def decode_plane(decisions, tables, chroma, step, around, blocks):
    """One plane of a unit, into `blocks` [ny, nx, 64]; `decisions` is None where the unit is skipped."""
    side, (ny, nx) = 2 if chroma else 4, blocks.shape[:2]
    left, above = around.touching
    roots, lengths = touching_roots(left, above, side, ny, nx)
    if around.apart:
        roots, lengths = near_roots(*around.near)
    prediction = divided(sum(roots), len(roots)) if roots else 0
    residual, levels, coded = 0, {}, []
    if decisions:
        context = min(sum(lengths) * (3 - len(lengths)) // 2, 4) if lengths else 5
        residual = decode_root(decisions, step.set["roots"][chroma], context)
    root = held(prediction + step.dq(residual), -32768, 32767)
    if decisions:
        to_left, to_above = around.known
        apart = [
            step.quarters(root - roots[0]) if to_left else 0,
            step.quarters(root - roots[-1]) if to_above else 0,
        ]
        lists = [known.means_list if known else None for known in (left, above)]
        logits = Logits(2 + chroma, step, [*apart, residual, 0, 0], *lists)
        levels, coded = decode_block(decisions, tables, 2 + chroma, step, logits)
    means = [root] + [held(step.dq(levels.get(i, 0)), -32767, 32767) for i in range(1, side * side)]
    means = [held(mean, -32768, 32767) for mean in inverse_means(means, side)]
    rows = [means[side * y : side * y + nx] for y in range(ny)]
    here = Plane(rows, root, abs(residual).bit_length(), coded)
    g = gradient_grid(here.means, left, above, step)
    here.lists = [[[] for _ in range(nx)] for _ in range(ny)]
    for y in range(ny):
        for x in range(nx):
            blocks[y, x, 0] = here.means[y][x]
            if decisions:
                beside = here.lists[y][x - 1] if x else left.lists[y][-1] if left else None
                over = here.lists[y - 1][x] if y else above.lists[-1][x] if above else None
                logits = Logits(chroma, step, block_gradients(g, y + 1, x + 1), beside, over)
                found, here.lists[y][x] = decode_block(decisions, tables, chroma, step, logits)
                for index, level in found.items():
                    blocks[y, x, index] = held(step.dq(level), -32767, 32767)
    return here


@dataclass
class Around:
    """Of units known in the packet, a plane: those that touch, left and above; or, `apart`, those near by."""

    apart: bool
    touching: tuple = (None, None)
    near: tuple = (None, ())

    @property
    def known(self):
        return [bool(known) for known in (self.near if self.apart else self.touching)]


def unit_places(first, last, units_x, units_y, interleaved):
    """Row and column of units first to last, by their numbers."""
    places = [(row, column) for row in range(units_y) for column in range(units_x)]
    if interleaved:
        rows = -(-512 // units_x)
        places.sort(key=lambda at: (at[0] // rows, (at[0] % rows + at[1]) % 2, at))
    return places[first : last + 1]


def decode_units(tables, payload, places, step, has_finer, interleaved, planes):
    """The units of one packet, into the coefficients of planes, [block rows, block columns, 64]."""
    decisions, finer, run, done = Decisions(payload), 0, 0, {}
    units_x = -(-planes[0].shape[1] // 4)
    slice_rows = -(-512 // units_x)
    for row, column in places:
        if interleaved:
            inside = row % slice_rows > 0
            left = done.get((row, column - 2))
            over = [done.get((row - 1, column + x)) for x in (-1, 1)] if inside else []
            over = [known for known in over if known]
            skips = ([left[0]] if left else []) + ([max(known[0] for known in over)] if over else [])
            free = not over or skips[-1]
        else:
            left, above = done.get((row, column - 1)), done.get((row - 1, column))
            skips = [known[0] for known in (left, above) if known]
            free = above is None or above[0]
        if has_finer and decisions.one(1024):
            finer = decisions.even(8)
        index = max(step - finer, 0)
        steps = Step(tables, index), Step(tables, max(index - tables.chroma_finer, 0))
        context = 4 if run >= 8 and free else sum(skips) if skips else 3
        skipped = decisions.one(steps[0].set["skip"][context])
        run = run + 1 if skipped else 0
        done[row, column] = (skipped, [])
        for number, plane in enumerate(planes):
            side = 2 if number else 4
            blocks = plane[side * row : side * row + side, side * column : side * column + side]
            if interleaved:
                near = left and left[1][number], [known[1][number] for known in over]
                around = Around(True, near=near)
            else:
                around = Around(False, tuple(known and known[1][number] for known in (left, above)))
            source = None if skipped else decisions
            done[row, column][1].append(
                decode_plane(source, tables, int(number > 0), steps[number > 0], around, blocks)
            )


def inverse_along(lines, constants):
    """The inverse DCT and post-filter along the first axis."""
    c0, c1, c2, c3, c5, c6, c7 = constants
    out = lines.copy()
    for at in range(0, len(lines), 8):
        x0, x1, x2, x3, x4, x5, x6, x7 = lines[at : at + 8]
        p, q = times(wrapped(x0 + x4), c0), times(wrapped(x0 - x4), c0)
        t, r = wrapped(times(x2, c2) + times(x6, c6)), wrapped(times(x2, c6) - times(x6, c2))
        odd = ((c1, c3, c5, c7), (c3, -c7, -c1, -c5), (c5, -c1, c7, c3), (c7, -c5, c3, -c1))
        for i, (s, (w1, w3, w5, w7)) in enumerate(zip((p + t, q + r, q - r, p - t), odd, strict=True)):
            d = times(x1, w1) + times(x3, w3) + times(x5, w5) + times(x7, w7)
            out[at + i], out[at + 7 - i] = wrapped(s + d), wrapped(s - d)
    for at in range(8, len(lines), 8):
        apart = [wrapped(out[at + j] - out[at - 1 - j]) for j in range(4)]
        for i, weights in enumerate(UNLAP):
            e = sum(times(d, weight) for d, weight in zip(apart, weights, strict=True))
            out[at + i], out[at - 1 - i] = wrapped(out[at + i] + e), wrapped(out[at - 1 - i] - e)
    return out


def samples(plane):
    rows, columns = plane.shape[:2]
    across = plane.reshape(rows, columns, 8, 8).transpose(1, 2, 0, 3).reshape(8 * columns, 8 * rows)
    return inverse_along(np.ascontiguousarray(inverse_along(across, ROWS).T), COLUMNS)


def upsampled(chroma, width, height):
    out = np.zeros((height, 2 * chroma.shape[1]), int)
    for y in range(height):
        near = y >> 1
        far = held(near + (1 if y & 1 else -1), 0, len(chroma) - 1)
        h = wrapped(3 * chroma[near] + chroma[far])
        around = np.concatenate([h[:1], h, h[-1:]])
        out[y, 0::2] = (wrapped(3 * h + around[:-2]) + 8) >> 4
        out[y, 1::2] = (wrapped(3 * h + around[2:]) + 8) >> 4
    return out[:, :width]


def colours(luma, cb, cr):
    red = luma + cr + times(cr, 13173)
    green = luma + times(cb, -11277) + times(cr, -23401)
    blue = luma + 2 * cb + times(cb, -7471)
    return wrapped(np.stack([red, green, blue], axis=-1))


def take_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def decode(stream, tables):
    assert stream[:6] == bytes.fromhex("8f464c4b0202")
    at, packets = 6, []
    while at < len(stream):
        word = int.from_bytes(stream[at : at + 2], "little")
        end = at + 5 + (word & 0x3FFF)
        packets.append((word, stream[at : at + 2], stream[at + 2 : at + 5], stream[at + 5 : end]))
        at = end
    body = packets[0][3]
    width, at = take_varint(body, 5)
    height, at = take_varint(body, at)
    header, width, height, depth = body[:at], width + 1, height + 1, (body[0] >> 4) + 1
    half, units = ((height + 1) // 2, (width + 1) // 2), (-(-width // 32), -(-height // 32))
    interleaved = header[0] >> 2 & 3 == 2
    sizes = [(height, width), half, half][: 3 if header[0] & 1 else 1]
    planes = [np.zeros((-(-rows // 8), -(-columns // 8), 64), int) for rows, columns in sizes]
    for word, head, checksum, fields in packets:
        assert (crc32c(head + fields, crc32c(header)) & 0xFFFFFF).to_bytes(3, "little") == checksum
        first, at = take_varint(fields, len(header) if word & 0x4000 else 0)
        count, at = take_varint(fields, at)
        step = fields[at : at + 2] if word & 0x8000 else header[1:3]
        payload = fields[at + 2 if word & 0x8000 else at :]
        places = unit_places(first, first + count, *units, interleaved)
        decode_units(
            tables, payload, places, int.from_bytes(step, "little"), header[0] & 2, interleaved, planes
        )
    luma, *chroma = (samples(p)[:rows, :columns] for p, (rows, columns) in zip(planes, sizes, strict=True))
    value = (colours(luma, *(upsampled(c, width, height) for c in chroma)) if chroma else luma) + 1024
    if chroma and depth == 8:
        value = wrapped(value)
    shift = 11 - depth
    value = (value + (2**shift >> 1)) >> shift if shift >= 0 else value << -shift
    return np.clip(value, 0, 2**depth - 1)


@pytest.fixture(scope="module")
def packed():
    return find_bundle("block8").tables()


def core_image(core, geometry, packets, **options):
    coefficients = Coefficients(geometry)
    core.decode(geometry, packets, coefficients, **options)
    shape = (geometry.height, geometry.width, *([3] if geometry.bands == 3 else []))
    image = np.zeros(shape, np.uint8 if geometry.depth == 8 else np.uint16)
    core.synthesise(geometry, 0, geometry.units_y, coefficients, image)
    return image


@pytest.mark.parametrize("seed", range(36))
def test_the_core_decodes_what_it_encodes_as_the_format_says(packed, kodim, seed):
    rng = np.random.default_rng(seed)
    width, height, bands, depth = (int(rng.integers(*r)) for r in ((1, 120), (1, 90), (0, 2), (8, 17)))
    geometry = Geometry(width, height, 1 + 2 * bands, depth)
    y, x = int(rng.integers(0, 400)), int(rng.integers(0, 600))
    image = kodim[y : y + height, x : x + width]
    if seed % 3 == 0:  # squares as large as they come, to overshoot
        squares = np.indices((height, width)).sum(0) // int(rng.integers(1, 33)) % 2
        image = np.repeat(255 * squares[..., None], 3, axis=2)
    image = np.ascontiguousarray(image if bands else image[..., 1]).astype(np.uint16) << (depth - 8)
    finer = rng.integers(0, 100, geometry.units).astype(np.uint8) if seed % 2 else None
    core = Core(Tables.unpack(packed), variants()[seed % len(variants())])
    step, mtu, apart = int(rng.integers(0, 832)), int(rng.choice([64, 200, 1024])), seed % 4 > 1
    how = core.settings(geometry, step=step, mtu=mtu, finer=finer, interleave=apart)
    packets = core.encode_rows(image.astype(np.uint8) if depth == 8 else image, 0, geometry.units_y, how)
    stream = PREAMBLE + b"".join(packet.data for packet in packets)
    payloads = [read_packet(packet.data, how.header) for packet in packets]
    expected = core_image(core, geometry, payloads, has_finer=finer is not None, interleaved=apart)
    assert np.array_equal(decode(stream, TableFile(packed)), expected)


@pytest.mark.parametrize("interleave", [False, True])
def test_slices_begin_anew_as_the_format_says(packed, kodim, interleave):
    geometry = Geometry(64, 8260, 3, 8)
    image = np.full((8260, 64, 3), 90, np.uint8)
    image[8150:] = kodim[:110, :64]
    core = Core(Tables.unpack(packed))
    how = core.settings(geometry, step=420, mtu=1024, interleave=interleave)
    packets = core.encode_rows(image, 0, geometry.units_y, how)
    stream = PREAMBLE + b"".join(packet.data for packet in packets)
    payloads = [read_packet(packet.data, how.header) for packet in packets]
    expected = core_image(core, geometry, payloads, interleaved=interleave)
    assert np.array_equal(decode(stream, TableFile(packed)), expected)


@pytest.mark.parametrize("seed", range(16))
def test_the_core_decodes_any_payload_as_the_format_says(packed, seed):
    rng = np.random.default_rng(seed)
    geometry = Geometry(int(rng.integers(1, 90)), int(rng.integers(1, 60)), 1 + 2 * (seed % 2), 8 + seed // 2)
    core, payload, has_finer = Core(Tables.unpack(packed)), rng.bytes(10 * seed), seed % 3 == 0
    finer = np.zeros(geometry.units, np.uint8) if has_finer else None
    apart = seed % 4 > 1
    how = core.settings(geometry, step=int(rng.integers(0, 832)), mtu=64, finer=finer, interleave=apart)
    fields = how.header + varint(0) + varint(geometry.units - 1) + payload
    head = (0x4000 | len(fields)).to_bytes(2, "little")
    checksum = crc32c(head + fields, crc32c(how.header)).to_bytes(4, "little")[:3]
    packet = read_packet(head + checksum + fields, how.header)
    assert packet == Packet(0, geometry.units, packet.step, payload)
    expected = core_image(core, geometry, [packet], has_finer=has_finer, interleaved=apart)
    assert np.array_equal(decode(PREAMBLE + head + checksum + fields, TableFile(packed)), expected)
