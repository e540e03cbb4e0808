"""Which groups stay in FP16: the search, with networks and a meter that add up costs given by hand."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from farlook.calibration.distortion import Change
from farlook.calibration.sensitivity import as_text, keep_worst, rank
from farlook.runtime.errors import CalibrationError


@dataclass
class Network:
    """Its graph is the list of its quantised groups."""

    costs: dict[str, float]
    half: float = 0.0

    @property
    def groups(self):
        return [SimpleNamespace(name=name, op="Conv", weights=9) for name in self.costs]

    def int8(self, kept=(), rest="fp16"):
        quantised = [name for name in self.costs if name not in kept]
        return sum(self.costs[name] for name in quantised) + (self.half if rest == "fp16" else 0)

    def session(self, graph, threads=0):
        del threads
        return graph


class Meter:
    """Adds up what sessions cost."""

    def __init__(self):
        self.measured = 0

    def measure(self, sessions):
        self.measured += 1
        return sum(sessions.values())

    def compare(self, found):
        return Change(found, -found / 20, 0.0)


def networks(**synthesis):
    return {"analysis": Network({"a0": 0.01, "a1": 0.02}), "synthesis": Network(synthesis)}


def test_ranks_are_worst_first():
    costs = rank(Meter(), networks(s0=0.5, s1=3.0, s2=-0.1))
    assert [cost.node for cost in costs] == ["s1", "s0", "a1", "a0", "s2"]
    assert [cost.node for cost in rank(Meter(), networks(s0=1.0), ["analysis"])] == ["a1", "a0"]


def test_curves_that_do_not_meet_are_worst():
    found = networks(s0=float("inf"), s1=3.0)
    assert rank(Meter(), found)[0].node == "s0"


def test_nothing_is_kept_or_ranked_within_the_budget():
    mixture = keep_worst(Meter(), networks(s0=0.5), budget=1.0)
    assert mixture.kept == {"analysis": [], "synthesis": []}
    assert not mixture.ranking


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_as_few_are_kept_as_the_budget_allows(count):
    costs = {f"bad{i}": 2.0 + i for i in range(count)} | {f"good{i}": 0.01 for i in range(9)}
    meter = Meter()
    mixture = keep_worst(meter, networks(**costs), budget=1.0)
    assert sorted(mixture.kept["synthesis"]) == sorted(name for name in costs if name.startswith("bad"))
    assert mixture.kept["analysis"] == []
    assert mixture.change.bd_rate <= 1.0


def test_networks_that_cost_next_to_nothing_are_not_taken_apart():
    mixture = keep_worst(Meter(), networks(s0=5.0), budget=1.0)
    assert {cost.network for cost in mixture.ranking} == {"synthesis"}


def test_ranks_come_from_one_set_of_pictures_and_the_budget_from_another():
    judge, ranker = Meter(), Meter()
    told = []
    mixture = keep_worst(judge, networks(s0=5.0, s1=0.1), budget=1.0, report=told.append, ranker=ranker)
    assert mixture.kept["synthesis"] == ["s0"]
    assert ranker.measured == 2  # the groups of the synthesis
    assert judge.measured == 4  # all, each network, and one group kept
    assert told[-1].startswith("1 of 2 groups in FP16: BD-rate +0.13 %")


def test_a_standard_error_is_told_with_its_mean():
    assert as_text(Change(0.723, 0.0, 0.0, 0.204)) == "+0.72 % (standard error 0.20 %)"
    assert as_text(Change(0.723, 0.0, 0.0)) == "+0.72 %"


def test_a_budget_that_fp16_misses_is_an_error():
    found = {"synthesis": Network({"s0": 1.0, "s1": 2.0}, half=4.0)}
    with pytest.raises(CalibrationError, match=r"all 2 groups in FP16 .*\+4\.00 %.*--budget"):
        keep_worst(Meter(), found, budget=1.0)
