"""Qualities and steps, slices, and the threads that work on them."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from farlook.kernels.block8 import Geometry
from farlook.runtime.block8.job import quality_of, slices_of, step_of
from farlook.runtime.block8.threads import in_order, thread_count
from farlook.runtime.errors import UsageError


def test_quality_maps_linearly_to_steps():
    assert (step_of(1), step_of(100)) == (681, 64)
    steps = [step_of(quality) for quality in range(1, 101)]
    assert steps == sorted(steps, reverse=True)
    assert {before - after for before, after in pairwise(steps)} == {6, 7}
    assert step_of(50.5) == round((681 + 64) / 2)


def test_steps_map_back_to_qualities():
    for step in range(64, 682):
        assert step_of(quality_of(step)) == step
    assert (quality_of(0), quality_of(831)) == (100, 1)


@pytest.mark.parametrize("size", [(1, 1), (768, 512), (4000, 3000), (16384, 100)])
def test_slices_cover_all_rows_of_units(size):
    geometry = Geometry(*size, 3, 8)
    slices = slices_of(geometry)
    assert [row for begin, end in slices for row in range(begin, end)] == list(range(geometry.units_y))


@pytest.mark.parametrize("threads", [1, 2, 5, 100])
def test_results_come_in_order(threads):
    assert list(in_order(lambda x: x * x, range(50), threads)) == [x * x for x in range(50)]
    assert list(in_order(str, [], threads)) == []


def test_no_more_results_wait_than_threads_need():
    begun = []
    results = in_order(begun.append, range(100), 2)
    next(results)
    assert len(begun) <= 6
    results.close()
    assert len(begun) <= 8


def test_work_is_done_by_several_threads():
    barrier = threading.Barrier(2, timeout=30)
    assert list(in_order(lambda _: barrier.wait() >= 0, range(2), 2)) == [True, True]


def test_what_goes_wrong_in_a_thread_comes_out():
    def fail(x):
        if x == 3:
            raise ValueError("three")
        return x

    for threads in (1, 4):
        with pytest.raises(ValueError, match="three"):
            list(in_order(fail, range(20), threads))


def test_the_number_of_threads():
    assert thread_count(3) == 3
    assert thread_count(0) >= 1
    for wrong in (-1, 1.5, "2"):
        with pytest.raises(UsageError, match="threads"):
            thread_count(wrong)
