"""The largest file within a number of bytes."""

import pytest

from farlook.benchmarks.search import largest_within


@pytest.mark.parametrize(("budget", "found"), [(9, None), (10, 0), (25, 1), (39, 2), (50, 4), (1000, 4)])
def test_it_is_the_last_setting_that_keeps_the_budget(budget, found):
    assert largest_within([1, 2, 3, 4, 5], lambda setting: bytes(10 * setting), budget) == found


def test_no_setting_at_all():
    assert largest_within([], lambda setting: b"", 10) is None


def test_it_tries_few():
    tried = []

    def encode(setting):
        tried.append(setting)
        return bytes(setting)

    assert largest_within(range(1000), encode, 700) == 700
    assert len(tried) <= 10
