"""Which groups of a network INT8 hurts: each is quantised alone, and the codec measured with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farlook.runtime.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from farlook.calibration.distortion import Change, Meter
    from farlook.calibration.networks import Network

BUDGET = 1.0
"""BD-rate in per cent that INT8 may cost, unless told otherwise."""
_NEGLIGIBLE = 0.1
"""A network whose INT8 costs less than this share of the budget, all groups together, is not taken apart."""


@dataclass(frozen=True)
class Cost:
    """What quantising one group costs.

    Attributes:
        network: "analysis" or "synthesis".
        node: The node's name.
        op: Its operator.
        weights: Numbers in its weight.
        change: Against the FP32 codec.
    """

    network: str
    node: str
    op: str
    weights: int
    change: Change


@dataclass(frozen=True)
class Mixture:
    """Which groups stay in FP16, and what the rest costs.

    Attributes:
        kept: Names of nodes, by network.
        change: Of the mixed graphs against FP32.
        ranking: What was measured to find them, worst first; empty if nothing had to be kept.
        pictures: How many `change` is the mean of.
    """

    kept: dict[str, list[str]]
    change: Change
    ranking: list[Cost]
    pictures: int = 0


def rank(
    meter: Meter,
    networks: Mapping[str, Network],
    only: Collection[str] | None = None,
    threads: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> list[Cost]:
    """Quantise one group at a time, all else in FP32; worst first.

    Args:
        meter: Of the codec in FP32.
        networks: Measured, by name.
        only: Names of networks to take apart; None for all.
        threads: Threads of one run; 0 takes all cores.
        advance: Called after each group.
    """
    costs = []
    for name, network in networks.items():
        if only is not None and name not in only:
            continue
        every = {group.name for group in network.groups}
        for group in network.groups:
            graph = network.int8(kept=every - {group.name}, rest="fp32")
            found = meter.compare(meter.measure({name: network.session(graph, threads)}))
            costs.append(Cost(name, group.name, group.op, group.weights, found))
            advance()
    return sorted(costs, key=lambda cost: _badness(cost.change), reverse=True)


def measure_mixed(
    meter: Meter, networks: Mapping[str, Network], kept: Mapping[str, Collection[str]], threads: int = 0
) -> Change:
    """What INT8 costs with some groups left in FP16, in the networks that `kept` names."""
    sessions = {
        name: networks[name].session(networks[name].int8(names), threads) for name, names in kept.items()
    }
    return meter.compare(meter.measure(sessions))


def keep_worst(
    meter: Meter,
    networks: Mapping[str, Network],
    budget: float = BUDGET,
    threads: int = 0,
    report: Callable[[str], None] = lambda _: None,
    progress: Callable[[int], Callable[[], None]] = lambda _: lambda: None,
    ranker: Meter | None = None,
) -> Mixture:
    """Leave the worst groups in FP16, as few as a budget allows.

    Groups are ranked by what each costs alone; how many of the worst must stay is found by bisection, with both
    networks quantised at each try.

    Args:
        meter: Of the codec in FP32, with the pictures that the budget is to hold on.
        networks: Measured, by name.
        budget: BD-rate in per cent.
        threads: Threads of one run; 0 takes all cores.
        report: Told what was found, a line at a time.
        progress: Given a number of steps, returns what is called after each.
        ranker: Of the same codec with the pictures to rank on: fewer do, as every group is measured; None for
            those of `meter`.

    Raises:
        CalibrationError: Not even all groups in FP16 stay within the budget.
    """
    nothing: dict[str, list[str]] = {name: [] for name in networks}
    whole = measure_mixed(meter, networks, nothing, threads)
    report(f"all in INT8: BD-rate {as_text(whole)}")
    if whole.bd_rate <= budget:
        return Mixture(nothing, whole, [])
    alone = {name: measure_mixed(meter, networks, {name: []}, threads) for name in networks}
    costly = [name for name in networks if _badness(alone[name]) > budget * _NEGLIGIBLE]
    report("of it: " + ", ".join(f"{name} {each.bd_rate:+.2f} %" for name, each in alone.items()))
    ranking = rank(
        ranker or meter,
        networks,
        costly,
        threads,
        progress(sum(len(networks[name].groups) for name in costly)),
    )
    return _fewest(meter, networks, ranking, budget, threads, report)


def _fewest(
    meter: Meter,
    networks: Mapping[str, Network],
    ranking: list[Cost],
    budget: float,
    threads: int,
    report: Callable[[str], None],
) -> Mixture:
    """The shortest beginning of a ranking that must be kept: bisection."""

    def try_keeping(count: int) -> Mixture:
        kept = {name: [cost.node for cost in ranking[:count] if cost.network == name] for name in networks}
        found = measure_mixed(meter, networks, kept, threads)
        report(f"{count} of {len(ranking)} groups in FP16: BD-rate {as_text(found)}")
        return Mixture(kept, found, ranking)

    fails, count, best = 0, 1, None
    while best is None:  # doubling first: most often a few groups do the harm
        tried = try_keeping(count)
        if tried.change.bd_rate <= budget:
            best = tried
        elif count == len(ranking):
            raise CalibrationError(
                f"even with all {count} groups in FP16 the BD-rate is {tried.change.bd_rate:+.2f} %, more than the "
                f"budget of {budget} %: raise --budget"
            )
        else:
            fails, count = count, min(2 * count, len(ranking))
    while count - fails > 1:
        middle = (fails + count) // 2
        tried = try_keeping(middle)
        if tried.change.bd_rate <= budget:
            count, best = middle, tried
        else:
            fails = middle
    return best


def as_text(change: Change) -> str:
    """A BD-rate with its standard error, as in "+0.72 % (standard error 0.20 %)"."""
    error = "" if change.error is None else f" (standard error {change.error:.2f} %)"
    return f"{change.bd_rate:+.2f} %{error}"


def _badness(change: Change) -> float:
    """Orders changes: by BD-rate, and where curves do not meet by the loss of PSNR."""
    return change.bd_rate if math.isfinite(change.bd_rate) else 1e6 - change.psnr
