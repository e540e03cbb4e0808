"""Processes that measure."""

import os

import pytest

from farlook.benchmarks.bench_workers import in_any_order, pinned
from farlook.runtime.errors import FarlookError, UsageError

# What the processes do must be importable there: builtins and os are.


def test_every_job_is_done():
    assert sorted(in_any_order(abs, [-3, -1, -2], 2)) == [1, 2, 3]
    assert list(in_any_order(abs, [], 2)) == []


def test_errors_come_through():
    with pytest.raises(ValueError, match="could not convert"):
        list(in_any_order(float, ["x"], 1))


def test_a_process_that_was_ended_is_an_error():
    with pytest.raises(FarlookError, match="run again to go on") as caught:
        list(in_any_order(os._exit, [1], 1))
    assert not isinstance(caught.value, UsageError)


@pytest.mark.skipif(not pinned(), reason="this system cannot keep a process on a core")
def test_one_core_is_one_core_and_one_thread():
    [cores] = in_any_order(os.sched_getaffinity, [0], 1, one_core=True)
    assert len(cores) == 1
    before = os.environ.get("OMP_NUM_THREADS")
    assert list(in_any_order(os.getenv, ["OMP_NUM_THREADS"], 1)) == ["1"]
    assert os.environ.get("OMP_NUM_THREADS") == before
