"""Rate control of pictures that fit a store: transformed once, coded until the size is right.

The first step comes from counting coefficients, is corrected on a sample of every fourth row of units, and then by
whole trials; the last trial within the budget is the stream. Larger pictures: `farlook.runtime.block8.rate_slices`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import STEPS
from farlook.runtime.block8.demand import Demand, Guesses, count_levels
from farlook.runtime.block8.job import joined, misses, slices_of
from farlook.runtime.block8.rate_slices import AIM, ENOUGH, OVERHEAD, code_slices_within
from farlook.runtime.block8.threads import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.runtime.block8.job import Job

_STORED_UNITS = 2048
"""Most units of a picture whose coefficients are kept: 3 KB each."""

_SAMPLE_EVERY, _SAMPLE_ROWS, _SAMPLE_BYTES = 4, 8, 250
"""A sample is every fourth row of units, of pictures that have eight, if it is coded to so many bytes a row."""

_GUESSES = 6
"""After so many guesses plain bisection ends the search."""

_FILLS = 3
"""Trials to fill the gap between two neighbouring steps."""


def code_within(job: Job, budget: int) -> list[bytes]:
    """Code a picture with the finest step that fits.

    Args:
        job: The picture.
        budget: Bytes of all packets.

    Returns:
        The packets of every slice.

    Raises:
        TargetError: Even the coarsest steps take more.
    """
    job = job.for_budget(budget)
    if job.geometry.units > _STORED_UNITS:
        return code_slices_within(job, budget)
    return _Search(job, budget).run()


class _Search:
    def __init__(self, job: Job, budget: int) -> None:
        self._job, self._budget = job, budget
        self._slices = slices_of(job.geometry)
        any_step = job.settings(0)
        self._stores: list[NDArray[np.int16]] = list(
            in_order(lambda rows: job.store_rows(*rows, any_step), self._slices, job.threads)
        )
        every = _SAMPLE_EVERY if job.geometry.units_y >= _SAMPLE_ROWS else 1
        self._rows = range(job.geometry.units_y)[every // 2 :: every]
        self._demand = Demand(job.geometry, [self._row(row) for row in self._rows])

    def run(self) -> list[bytes]:
        """Search between the finest step that exceeded the budget and the coarsest that fitted."""
        budget = self._budget
        exceeds, fits = -1, STEPS
        sizes: dict[int, int] = {}
        best: list[bytes] = []
        guesses = Guesses(self._demand, AIM * budget)
        step = self._first_step()
        while fits - exceeds > 1:
            pieces = self._trial(self._job, step)
            sizes[step] = size = sum(map(len, pieces))
            guesses.add(step, size)
            if size <= budget:
                fits, best = step, pieces
                if size >= ENOUGH * budget or step == 0:
                    return best
            else:
                exceeds = step
            guess = (fits + exceeds) // 2 if len(sizes) >= _GUESSES else guesses.next()
            step = min(max(guess, exceeds + 1), fits - 1)
        if not best:
            raise misses(min(sizes.values()), budget)
        return self._between(best, sizes[fits], sizes[exceeds], fits)

    def _between(self, best: list[bytes], size: int, finer_size: int, step: int) -> list[bytes]:
        """Fill a gap between two neighbouring steps: the first units get the finer one."""
        job, share, span = self._job, 0.0, finer_size - size
        coarse = np.zeros(job.geometry.units, np.uint8) if job.finer is None else job.finer
        for _ in range(_FILLS):
            share = min(max(share + (AIM * self._budget - size) / span, 0), 1)
            finer, first = coarse.copy(), slice(round(share * len(coarse)))
            finer[first] += coarse[first] < np.iinfo(np.uint8).max
            pieces = self._trial(replace(job, finer=finer), step)
            size = sum(map(len, pieces))
            if size <= self._budget:
                best = max(best, pieces, key=lambda trial: sum(map(len, trial)))
                if size >= ENOUGH * self._budget:
                    break
        return best

    def _trial(self, job: Job, step: int) -> list[bytes]:
        settings = job.settings(step)

        def work(number: int) -> bytes:
            return joined(job.core.encode_stored(self._stores[number], *self._slices[number], settings))

        return list(in_order(work, range(len(self._slices)), job.threads))

    def _first_step(self) -> int:
        """The step at which the sample of rows, or else the demand alone, promises the budget."""
        rows = len(self._rows)
        share = rows / self._job.geometry.units_y
        guesses = Guesses(self._demand, AIM * self._budget * share)
        step = guesses.next()
        if share == 1 or share * self._budget < _SAMPLE_BYTES * rows:
            return step
        settings = self._job.settings(step)
        size = -OVERHEAD[self._job.interleave] * rows
        for row in self._rows:
            packets = self._job.core.encode_stored(self._row(row), row, row + 1, settings)
            size += sum(len(packet.data) for packet in packets)
        typical = count_levels(self._stores, step) * share / count_levels(map(self._row, self._rows), step)
        guesses.add(step, max(size, 1) * typical)
        return guesses.next()

    def _row(self, row: int) -> NDArray[np.int16]:
        """The coefficients of a row of units."""
        number, columns = row // self._slices[0][1], self._job.geometry.units_x
        begin = (row - self._slices[number][0]) * columns
        return self._stores[number][begin : begin + columns]
