"""Rate control of the layout "progressive": layers down to a step that is fine enough, cut after whole packets."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from farlook.kernels.block8 import MIN_MTU
from farlook.runtime.block8.demand import Demand
from farlook.runtime.block8.job import misses
from farlook.runtime.block8.progressive import encode_layers

if TYPE_CHECKING:
    from farlook.runtime.block8.job import Job

_SPARE = 1.3
"""How many times the budget all layers should take: the last packets are worth least for their bytes."""

_PACKETS = 16
"""A budget is cut in so many packets at the least, so that little is left over after the last whole one."""

_SAMPLE_ROWS = 8
_TRIES, _FINER = 3, 48


def code_layers(job: Job, step: int) -> list[bytes]:
    """All packets of a picture, down to the step of this index; see `encode_layers`."""
    return encode_layers(
        job.core,
        job.store_rows,
        job.geometry,
        step=step,
        mtu=job.mtu,
        digest=job.digest,
        threads=job.threads,
    )


def code_layers_within(job: Job, budget: int) -> list[bytes]:
    """The first packets of a picture, as many as the budget has room for.

    Raises:
        TargetError: There is not even room for the first one.
    """
    geometry = job.geometry
    job = replace(job, mtu=min(job.mtu, max(budget // _PACKETS, MIN_MTU)))
    count = min(_SAMPLE_ROWS, geometry.units_y)
    rows = [int((i + 0.5) * geometry.units_y / count) for i in range(count)]
    settings = job.settings(0)
    demand = Demand(geometry, [job.store_rows(row, row + 1, settings) for row in rows])
    step = demand.step_for(_SPARE * budget, geometry.units_y / count)
    packets = code_layers(job, step)
    for _ in range(_TRIES):
        if step == 0 or sum(map(len, packets)) > budget:
            break
        step = max(step - _FINER, 0)
        packets = code_layers(job, step)
    room = sum(size <= budget for size in accumulate(map(len, packets)))
    if room == 0:
        raise misses(len(packets[0]), budget)
    return packets[:room]
