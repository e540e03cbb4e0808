"""Tables fitted to symbols, and what they save."""

from __future__ import annotations

import json

import numpy as np
import pytest

from farlook.calibration import neural_weights
from farlook.calibration.neural_entropy import fit_entropy
from farlook.calibration.neural_tables import CLASSES, class_scale, make_tables
from farlook.runtime.errors import UsageError
from farlook.runtime.neural.coder import Tables
from farlook.runtime.neural.contexts import FRACTIONS
from farlook.runtime.neural.description import Coding
from farlook.runtime.neural.symbols import SymbolCoder
from farlook.runtime.tiles import TileGrid

LEVELS = 8
NETWORK = {"inputs": ["level"], "halo": 0}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Few iterations: enough for what is tested."""
    before = neural_weights.ITERATIONS
    neural_weights.ITERATIONS = 120
    yield
    neural_weights.ITERATIONS = before


@pytest.fixture(scope="module")
def layout():
    """Two latents, the second gated by a map."""
    gains = {"forward": [[1.0] * 6, [4.0] * 6], "inverse": [[1.0] * 6, [0.25] * 6]}
    return {
        "levels": LEVELS,
        "stride": 16,
        "tile_log2": 9,
        "analysis": NETWORK,
        "synthesis": NETWORK,
        "latents": [
            {"name": "m", "channels": 1, "stride": 16},
            {
                "name": "y",
                "channels": 6,
                "stride": 16,
                "gains": gains,
                "gate": {"by": "m", "table": [2, 4, 6]},
            },
        ],
    }


def picture(seed, level, side=24):
    """Symbols whose size drifts over the picture, and is told by the map: smooth, as photographs are."""
    generator = np.random.default_rng(seed)
    field = generator.normal(0, 1, (side + 8, side + 8))
    for axis in (0, 1):
        field = sum(np.roll(field, shift, axis) for shift in range(8)) / 8**0.5
    field = field[8:, 8:]
    energy = np.exp(field) * 2.0 ** (level / (LEVELS - 1) * 2 - 1)
    y = np.rint(generator.laplace(0, 1, (6, side, side)) * energy / np.arange(1, 7)[:, None, None])
    y[0] += np.rint(6 * field)
    m = np.clip(np.rint(field + 1), 0, 2).astype(np.int32)
    kept = np.array([2, 4, 6])[m]
    y = (y * (np.arange(6)[:, None, None] < kept)).astype(np.int32)
    return {"m": m[None], "y": y}


@pytest.fixture(scope="module")
def samples():
    """Forty pictures at all levels."""
    pictures = [(index % LEVELS, picture(index, index % LEVELS)) for index in range(40)]
    return {name: [(level, symbols[name]) for level, symbols in pictures] for name in ("m", "y")}


@pytest.fixture(scope="module")
def fitted(samples, layout):
    """Their tables."""
    return fit_entropy(samples, layout)


def size(layout, entropy, seeds=range(100, 108)):
    coding = Coding.read(layout)
    coder = SymbolCoder(coding, entropy)
    total = 0
    for seed in seeds:
        level = seed % LEVELS
        symbols = {name: values.astype(np.int16) for name, values in picture(seed, level).items()}
        grid = TileGrid(384, 384, coding.tile)
        payloads = coder.pack(symbols, grid, level)
        again = coder.unpack(payloads, grid, level)
        for name, values in symbols.items():
            np.testing.assert_array_equal(again[name], values)
        total += sum(map(len, payloads))
    return total


def test_tables_are_json_of_integers(fitted):
    assert json.loads(json.dumps(fitted)) == fitted

    def leaves(value):
        if isinstance(value, dict):
            value = value.values()
        if isinstance(value, (list, type({}.values()))):
            for each in value:
                yield from leaves(each)
        else:
            yield value

    assert {type(leaf) for leaf in leaves(fitted)} == {int}


def test_contexts_save_bytes(samples, layout, fitted):
    static = fit_entropy(samples, layout, contexts=False)
    assert size(layout, fitted) < 0.93 * size(layout, static)


def test_the_same_samples_give_the_same_tables(samples, layout):
    few = {name: parts[:LEVELS] for name, parts in samples.items()}
    assert fit_entropy(few, layout) == fit_entropy(few, layout)


def test_numbers_never_seen_are_coded(fitted, layout):
    coding = Coding.read(layout)
    coder, grid = SymbolCoder(coding, fitted), TileGrid(64, 64, coding.tile)
    symbols = {"m": np.full((1, 4, 4), 2, np.int16), "y": np.full((6, 4, 4), -32000, np.int16)}
    again = coder.unpack(coder.pack(symbols, grid, 0), grid, 0)
    np.testing.assert_array_equal(again["y"], symbols["y"])


def test_progress_is_reported(samples, layout):
    seen = []
    few = {name: parts[:LEVELS] for name, parts in samples.items()}
    fit_entropy(few, layout, contexts=False, report=lambda *args: seen.append(args))
    assert {label for label, _, _ in seen} == {"m", "y"}
    assert all(done <= steps for _, done, steps in seen)
    assert seen[-1][1] == seen[-1][2]


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("m"),
        lambda s: s.update(y=[]),
        lambda s: s["y"].pop(),
        lambda s: s["y"].__setitem__(0, (3, s["y"][0][1])),
        lambda s: s["y"].__setitem__(0, (0, s["y"][0][1][:5])),
        lambda s: s["y"].__setitem__(0, (0, s["y"][0][1][:, 1:])),
        lambda s: [part.__setitem__(0, (99, part[0][1])) for part in s.values()],
    ],
    ids=["missing", "empty", "fewer", "another level", "another channel", "another size", "no level"],
)
def test_samples_that_do_not_fit_are_refused(samples, layout, change):
    broken = {name: list(parts) for name, parts in samples.items()}
    change(broken)
    with pytest.raises(UsageError):
        fit_entropy(broken, layout)


def test_tables_without_counts_are_logistic():
    rows = make_tables(np.zeros((CLASSES * FRACTIONS, 513), dtype=np.int64))
    tables = Tables(rows)
    assert [
        table[reach] for table, reach in zip(rows[:10:FRACTIONS], tables.reach[:10:FRACTIONS], strict=True)
    ] > [65000] * 2
    middle = 40 * FRACTIONS
    row, reach, scale = rows[middle], int(tables.reach[middle]), class_scale(40)
    expected = np.tanh(0.25 / scale)
    assert row[reach] / 65536 == pytest.approx(expected, rel=0.02)
    assert row[reach + 1] == pytest.approx(row[reach - 1], abs=1)
    tilted = rows[middle + 3]
    assert tilted[len(tilted) // 2] > tilted[len(tilted) // 2 - 2]
