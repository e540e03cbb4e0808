"""Trained tables as C: the arrays hold every number, in the structures' order."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from farlook.export.c_tables import c_tables, for_flight
from farlook.kernels.block8_tables import HOT_LANES, Tables
from farlook.runtime.bundle import find_bundle


@pytest.fixture(scope="module")
def tables():
    return Tables.unpack(find_bundle("block8").tables())


def arrays(text):
    """The arrays of C source, by name."""
    found = re.findall(r"const (\w+)_t (\w+)\[(\d+)\] = \{([^}]*)\};", text)
    parsed = {name: np.array(numbers.split(","), dtype=kind) for kind, name, _, numbers in found}
    assert {name: str(len(parsed[name])) for name in parsed} == {name: size for _, name, size, _ in found}
    return parsed


def test_the_structures_point_to_the_numbers(tables):
    written = c_tables(tables, chroma=True)
    held = arrays(written.definitions)
    assert written.size == sum(array.nbytes for array in held.values())
    first = re.search(r"farlook_sets\[\d+\] = \{\s*\{\{(.*?)\}", written.structures, re.DOTALL)
    places = re.findall(r"&(\w+)\[(\d+)\]", first[1])
    for (name, offset), table in zip(places, tables.sets[0].rows, strict=True):
        rows = table[:, :HOT_LANES]
        assert np.array_equal(held[name][int(offset) :][: rows.size], rows.ravel())
    for name, array in held.items():
        assert re.search(rf"extern const \w+ {name}\[{len(array)}\];", written.declarations)


def test_grey_leaves_out_what_colour_needs(tables):
    grey, rgb = c_tables(tables, chroma=False), c_tables(tables, chroma=True)
    assert grey.size < 0.7 * rgb.size
    assert grey.structures.count("NULL") > rgb.structures.count("NULL")
    assert for_flight(tables, chroma=False).sets[0].rows[0] is tables.sets[0].rows[0]


def test_layers_that_refine_are_left_out(tables):
    layered = replace(tables, refinements=tables.sets, refinement_limits=tables.limits)
    assert c_tables(layered, chroma=True) == c_tables(for_flight(tables, chroma=True), chroma=True)


def test_lines_are_short_enough_to_read(tables):
    written = c_tables(tables, chroma=True)
    for text in (written.definitions, written.structures):
        assert max(map(len, text.splitlines())) <= 110
