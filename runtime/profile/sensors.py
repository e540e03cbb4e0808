"""Sensors of a machine, polled in a thread beside what is measured."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

INTERVAL = 0.1
"""Seconds between two looks. An INA3221 takes about half a millisecond a register over its I2C bus, so a Jetson's
nine registers cost a core some 5 % at this rate."""


@dataclass(frozen=True)
class Sensor:
    """One number that a machine tells.

    Attributes:
        name: As in "VDD_IN" or "GPU 0 SM clock".
        unit: "W" and "J" (a counter) for power; "MHz", "C", "MB"; "events" (a counter); "flags" (bits).
        read: The number now; None if it could not be read this time.
        source: Where it comes from, as in "INA3221 at 1-0040".
        wrap: At what a counter starts from 0 again; 0 if it does not.
        flags: Name of each bit of "flags" that means a slower device.
    """

    name: str
    unit: str
    read: Callable[[], float | None] = field(compare=False)
    source: str = ""
    wrap: float = 0.0
    flags: Mapping[int, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Course:
    """What a sensor told over a stretch of time.

    Attributes:
        sensor: Which.
        times: Seconds, float64 [looks].
        values: In the sensor's unit, float64 [looks].
    """

    sensor: Sensor
    times: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def joules(self) -> float | None:
        """Energy over the whole stretch: a counter's growth, or the integral of the power, by trapezoids."""
        if self.sensor.unit == "J":
            return self.growth
        if self.sensor.unit != "W" or len(self.times) < 2:
            return None
        times, values = np.array(self.times), np.array(self.values)
        return float(((values[1:] + values[:-1]) / 2 * np.diff(times)).sum())

    @property
    def watts(self) -> float | None:
        """Mean power."""
        joules, seconds = self.joules, self.seconds
        return None if joules is None or seconds <= 0 else joules / seconds

    @property
    def seconds(self) -> float:
        """From the first look to the last."""
        return self.times[-1] - self.times[0]

    @property
    def growth(self) -> float | None:
        """By how much a counter grew, whatever it was at before; None of a single look."""
        if len(self.values) < 2:
            return None
        steps = np.diff(np.array(self.values))
        return float(np.where(steps < 0, steps + self.sensor.wrap, steps).sum())

    @property
    def seen_flags(self) -> list[str]:
        """Names of the flags that were up at any look."""
        seen = 0
        for value in self.values:
            seen |= int(value)
        return [name for bit, name in self.sensor.flags.items() if seen & bit]


@contextmanager
def sampled(sensors: Sequence[Sensor], interval: float = INTERVAL) -> Iterator[list[Course]]:
    """Poll sensors inside the block: at its begin, at its end and every `interval` seconds between.

    Yields:
        A list that holds what each sensor told once the block has ended, by an error too; sensors that never
        answered are left out.
    """
    courses: list[Course] = []
    looks: list[tuple[list[float], list[float]]] = [([], []) for _ in sensors]
    done = threading.Event()

    def poll() -> None:
        while not done.wait(interval):
            _look(sensors, looks)

    thread = threading.Thread(target=poll, name="farlook-sensors", daemon=True)
    _look(sensors, looks)
    if sensors:
        thread.start()
    try:
        yield courses
    finally:
        done.set()
        if sensors:
            thread.join()
        _look(sensors, looks)
        courses += [
            Course(sensor, tuple(times), tuple(values))
            for sensor, (times, values) in zip(sensors, looks, strict=True)
            if values
        ]


def _look(sensors: Sequence[Sensor], looks: Sequence[tuple[list[float], list[float]]]) -> None:
    for sensor, (times, values) in zip(sensors, looks, strict=True):
        value = sensor.read()
        if value is not None:
            times.append(time.perf_counter())
            values.append(value)
