"""Tables chosen by integers of what is known, the same for writing and reading."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.runtime.neural.coder import Reader, Tables, Writer
from farlook.runtime.neural.contexts import (
    FRACTIONS,
    LatentModel,
    Place,
    code_tile,
    feature_counts,
    magnitudes,
)
from farlook.runtime.neural.schedule import make_steps

CLASSES, ANCHORS = 6, 3


def make_model(channels, side, ends, spacings, seed=1):
    """A model of random weights."""
    generator = np.random.default_rng(seed)
    fields = {
        "order": generator.permutation(channels).tolist(),
        "groups": ends,
        "spacings": spacings,
        "steps": [],
    }
    for step in make_steps(ends, spacings):
        scales, values = feature_counts(step, side)
        rows = step.last - step.first
        fields["steps"].append(
            {
                "scale": generator.integers(-300, 300, (rows, scales)).tolist(),
                "mean": generator.integers(-900, 900, (rows, values)).tolist(),
                "bias": generator.integers(0, CLASSES << 12, (ANCHORS, rows)).tolist(),
            }
        )
    return LatentModel.read(fields, channels, side, ANCHORS, CLASSES), fields


@pytest.fixture(scope="module")
def tables():
    """One for each class and fraction, wider and wider."""
    rows = []
    for table in range(CLASSES * FRACTIONS):
        shares = np.exp(-np.abs(np.arange(-9, 10)) / (0.3 + table / 8))
        whole = np.maximum((shares / shares.sum() * 65000).astype(int), 1)
        rows.append([*whole.tolist(), 65536 - int(whole.sum())])
    return Tables(rows)


def round_trip(model, tables, place, side, coded, symbols):
    writer = Writer(tables)
    code_tile(model, writer, place, side, coded, symbols)
    reader = Reader(tables, writer.payload())
    found = code_tile(model, reader, place, side, coded, None)
    reader.finish()
    return found


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4), (9, 13)], ids=str)
@pytest.mark.parametrize("side_channels", [0, 2])
def test_symbols_come_back(tables, shape, side_channels):
    generator = np.random.default_rng(7)
    model, _ = make_model(7, side_channels, [2, 5, 7], [4, 2, 1])
    symbols = np.rint(generator.laplace(0, 3, (7, *shape))).astype(np.int16)
    symbols[:, 0, 0] = 32767, -32767, 300, -40, 1, 0, 12
    side = generator.integers(-4, 5, (side_channels, *shape)).astype(np.int16)
    for level in range(5):
        found = round_trip(model, tables, Place.of(level, 5, ANCHORS), side, None, symbols)
        np.testing.assert_array_equal(found, symbols)


def test_what_is_not_coded_is_0_and_takes_no_bytes(tables):
    generator = np.random.default_rng(8)
    model, _ = make_model(5, 0, [2, 5], [2, 2])
    side, place = np.zeros((0, 6, 6), dtype=np.int16), Place.of(1, 3, ANCHORS)
    coded = generator.random((5, 6, 6)) < 0.5
    symbols = (generator.integers(-3, 4, (5, 6, 6)) * coded).astype(np.int16)
    np.testing.assert_array_equal(round_trip(model, tables, place, side, coded, symbols), symbols)
    writer = Writer(tables)
    code_tile(model, writer, place, side, np.zeros_like(coded), np.zeros_like(symbols))
    assert writer.payload() == b""


def test_a_read_symbol_outside_the_range_is_an_error(tables):
    class Huge:
        def code(self, rows, values):
            return np.full(rows.shape, 40000)

    model, _ = make_model(1, 0, [1], [1])
    with pytest.raises(ValueError, match="range"):
        code_tile(model, Huge(), Place.of(0, 2, ANCHORS), np.zeros((0, 2, 2), dtype=np.int16), None, None)


def test_places_interpolate_between_anchors_in_integers():
    rows = np.array([[0, 100], [10, -100], [21, 0]])
    assert Place.of(0, 5, 3).between(rows).tolist() == [0, 100]
    assert Place.of(1, 5, 3).between(rows).tolist() == [5, 0]
    assert Place.of(2, 5, 3).between(rows).tolist() == [10, -100]
    assert Place.of(3, 5, 3).between(rows).tolist() == [15, -50]
    assert Place.of(4, 5, 3).between(rows).tolist() == [21, 0]
    assert Place.of(3, 5, 3).shares(3).tolist() == [0, 0.5, 0.5]
    assert Place.of(4, 5, 1).between(rows[:1]).tolist() == [0, 100]


def test_magnitudes_grow_by_eight_an_octave():
    assert magnitudes(np.array([0, 1, -1, 3, 7, -255, 1023, 32767])).tolist() == [0, 8, 8, 16, 24, 64, 80, 80]
    assert (np.diff(magnitudes(np.arange(2000))) >= 0).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda fields: fields.update(order=[0, 0, 1, 2]),
        lambda fields: fields.update(groups=[2, 3]),
        lambda fields: fields.update(groups=[3, 1, 4]),
        lambda fields: fields.update(groups=[]),
        lambda fields: fields.update(spacings=[2, 3]),
        lambda fields: fields.update(spacings=[2]),
        lambda fields: fields["steps"].pop(),
        lambda fields: fields["steps"][0].pop("bias"),
        lambda fields: fields["steps"][-1]["scale"][0].pop(),
        lambda fields: fields["steps"][-1]["scale"][0].__setitem__(0, 0.5),
        lambda fields: fields["steps"][-1]["mean"][0].__setitem__(0, 1 << 40),
        lambda fields: fields["steps"][0]["bias"][0].__setitem__(0, "many"),
    ],
)
def test_damaged_fields_are_refused(damage):
    _, fields = make_model(4, 0, [2, 4], [2, 2])
    damage(fields)
    with pytest.raises((KeyError, IndexError, TypeError, ValueError)):
        LatentModel.read(fields, 4, 0, ANCHORS, CLASSES)
