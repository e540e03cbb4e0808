"""Percentiles and jitter of samples, none of them left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ENOUGH_FOR_P99 = 100
"""With fewer samples than this the 99th percentile is the largest."""


@dataclass(frozen=True)
class Statistics:
    """What a row of samples is like, in their unit.

    Percentiles are nearest-rank: the least sample that at least so many percent do not exceed, so each is a time
    that was measured.

    Attributes:
        count: Samples.
        mean: Their mean. Means of stages add up to the mean of the whole; percentiles do not.
        minimum: The least.
        p50: The median.
        p90: 90th percentile.
        p95: 95th percentile.
        p99: 99th percentile.
        maximum: The largest.
        deviation: Standard deviation of the population.
        jitter: Mean absolute difference between a sample and the next: what the consumer of a stream of
            frames sees change from frame to frame. 0 of a single sample.
    """

    count: int
    mean: float
    minimum: float
    p50: float
    p90: float
    p95: float
    p99: float
    maximum: float
    deviation: float
    jitter: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Statistics:
        """Describe samples, in the order in which they were taken.

        Raises:
            ValueError: There are none.
        """
        values = np.asarray(samples, dtype=np.float64)
        if values.size == 0:
            raise ValueError("there are no samples to describe")
        steps = np.abs(np.diff(values))
        return cls(
            count=int(values.size),
            mean=float(values.mean()),
            minimum=float(values.min()),
            p50=percentile(values, 50),
            p90=percentile(values, 90),
            p95=percentile(values, 95),
            p99=percentile(values, 99),
            maximum=float(values.max()),
            deviation=float(values.std()),
            jitter=float(steps.mean()) if steps.size else 0.0,
        )


def percentile(samples: Sequence[float] | NDArray[np.float64], percent: float) -> float:
    """The least sample that at least `percent` of all do not exceed."""
    return float(np.percentile(np.asarray(samples), percent, method="inverted_cdf"))
