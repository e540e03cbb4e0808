"""Rate control of large pictures: a step from sampled rows of units, corrected while slices are coded.

Slices are coded in groups; after each, the step for the rest follows from what has been used. If at the end too much
or too little is used, the last slices are coded again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.kernels.block8 import STEPS
from farlook.runtime.block8.demand import Demand, Guesses
from farlook.runtime.block8.job import joined, misses, slices_of
from farlook.runtime.block8.threads import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farlook.runtime.block8.job import Job

ENOUGH, AIM = 0.97, 0.986
"""Shares of the budget: with what to be content, and what to try for."""

OVERHEAD = {False: 20, True: 30}
"""Bytes by which rows of units are dearer in packets of their own, or in two each if they are interleaved."""

_LEAST, _MOST = 0.977, 0.996
"""Shares of the budget between which the expected size may lie before the step is changed."""

_TIGHT = 1.0
"""Where the coarsest step is expected to take so much of the budget, it is tried first."""

_SAMPLED_UNITS = 768
_SAMPLE_TRIALS, _SAMPLE_NEAR = 3, 60
"""Trials of the sample at the most; one so few steps from the next is the last."""

_GROUPS, _GROUP_SLICES = 8, 4
"""A picture is coded in about so many groups, each of so many slices at the least."""

_REPAIRS = 8
_STRETCH = 1.35
"""By which factor a repair changes the bytes of the slices that it codes again, if there are slices enough."""


def code_slices_within(job: Job, budget: int) -> list[bytes]:
    """Code a picture of many slices; see `farlook.runtime.block8.rate.code_within`."""
    return _Loop(job, budget).run()


class _Loop:
    def __init__(self, job: Job, budget: int) -> None:
        self._job, self._budget = job, budget
        self._overhead = OVERHEAD[job.interleave]
        self._slices = slices_of(job.geometry)
        self._all = range(len(self._slices))
        self._main = STEPS - 1  # the header's step
        self._coded: dict[int, bytes] = {}
        self._steps: dict[int, int] = {}
        # A row of units of as many slices, evenly spread, as the sample may have.
        count = min(max(_SAMPLED_UNITS // job.geometry.units_x, 4), len(self._slices))
        self._picked = [int((i + 0.5) * len(self._slices) / count) for i in range(count)]
        self._rows = [sum(self._slices[number]) // 2 for number in self._picked]
        any_step = job.settings(0)
        self._stores = list(
            in_order(lambda row: job.store_rows(row, row + 1, any_step), self._rows, job.threads)
        )
        self._demand = Demand(job.geometry, self._stores)

    def run(self) -> list[bytes]:
        """Find the step for all, code, repair."""
        step = self._first_step()
        if self._expect(self._all, STEPS - 1) > _TIGHT * self._budget:
            self._code_coarsest()
        self._main = step
        self._coded.clear()
        size = max(_GROUP_SLICES, len(self._slices) // _GROUPS)
        for begin in self._all[::size]:
            self._code(self._all[begin : begin + size], step)
            step = self._next_step(step, self._all[begin + size :])
        for _ in range(_REPAIRS):
            if not self._repair():
                break
        if self._used() > self._budget:
            self._code_coarsest()
        return [self._coded[number] for number in self._all]

    def _first_step(self) -> int:
        """The step at which the sample promises the budget; sets what every slice is expected to take."""
        rows = len(self._rows)
        target = (AIM * self._budget - self._overhead * len(self._slices)) * rows / self._job.geometry.units_y
        guesses = Guesses(self._demand, target)
        step = guesses.next()
        for _ in range(_SAMPLE_TRIALS):
            sizes = self._sample_sizes(step)
            guesses.add(step, sum(sizes))
            self._expected_step = step
            step = guesses.next()
            if abs(step - self._expected_step) < _SAMPLE_NEAR:
                break
        share = rows / len(self._slices)
        self._expected = [
            sizes[min(int(number * share), rows - 1)] * (end - begin)
            for number, (begin, end) in enumerate(self._slices)
        ]
        return step

    def _sample_sizes(self, step: int) -> list[int]:
        """Bytes of each row of the sample, but for what is due to packets of its own."""
        job, settings = self._job, self._job.settings(step)

        def work(i: int) -> int:
            row = self._rows[i]
            packets = job.core.encode_stored(self._stores[i], row, row + 1, settings)
            return max(sum(len(packet.data) for packet in packets) - self._overhead, 1)

        return list(in_order(work, range(len(self._rows)), job.threads))

    def _expect(self, numbers: Iterable[int], step: int, factor: float = 1.0) -> float:
        """What slices should take at a step; `factor` is by how much the sample was too low so far."""
        chosen = list(numbers)
        growth = factor * self._demand.bytes_at(step) / self._demand.bytes_at(self._expected_step)
        return self._overhead * len(chosen) + growth * sum(self._expected[number] for number in chosen)

    def _code(self, numbers: Iterable[int], step: int) -> None:
        job, chosen = self._job, list(numbers)
        settings = job.settings(step, header_step=self._main)

        def work(number: int) -> bytes:
            return joined(job.encode_rows(*self._slices[number], settings))

        self._coded |= zip(chosen, in_order(work, chosen, job.threads), strict=True)
        self._steps |= dict.fromkeys(chosen, step)

    def _code_coarsest(self) -> None:
        """Code all with the coarsest step.

        Raises:
            TargetError: That is too much.
        """
        self._main = STEPS - 1
        self._code(self._all, self._main)
        if self._used() > self._budget:
            raise misses(self._used(), self._budget)

    def _used(self) -> int:
        return sum(map(len, self._coded.values()))

    def _next_step(self, step: int, rest: range) -> int:
        """The step for the slices that are left, changed only if this one would miss the budget."""
        if not rest:
            return step
        used, done = self._used(), len(self._coded)
        expected = sum(self._expect([number], self._steps[number]) for number in self._coded)
        factor = max(used - self._overhead * done, 1) / max(expected - self._overhead * done, 1)
        left = self._expect(rest, step, factor)
        if _LEAST * self._budget <= used + left <= _MOST * self._budget:
            return step
        fixed = self._overhead * len(rest)
        wanted = max(AIM * self._budget - used - fixed, 0.02 * self._budget)
        return self._demand.step_for(wanted, (left - fixed) / self._demand.bytes_at(step), step)

    def _repair(self) -> bool:
        """Code as few of the last slices as will do again, finer or coarser; False if there is no need."""
        used, count = self._used(), len(self._slices)
        if ENOUGH * self._budget <= used <= self._budget:
            return False
        missing = AIM * self._budget - used
        begin, size = count, 0
        while begin > 0 and not (size > 0 and 1 / _STRETCH <= (size + missing) / size <= _STRETCH):
            begin -= 1
            size += max(len(self._coded[begin]) - self._overhead, 1)
        before = self._steps[count - 1]
        scale = size / self._demand.bytes_at(before)
        step = self._demand.step_for(max(size + missing, size / 8), scale, before)
        if step == before:
            step += -1 if missing > 0 else 1
        if not 0 <= step < STEPS:
            return False
        self._code(self._all[begin:], step)
        return True
