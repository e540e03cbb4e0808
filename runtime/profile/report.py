"""A profile as rows, JSON and CSV. Times are in milliseconds here, and in seconds in `measure`."""

from __future__ import annotations

import csv
import io
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from farlook.runtime.profile.stages import STAGES
from farlook.runtime.profile.statistics import ENOUGH_FOR_P99, Statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farlook.runtime.profile.layers import LayerTable
    from farlook.runtime.profile.measure import Phase, Profile
    from farlook.runtime.profile.sensors import Course

SCHEMA = 1
END_TO_END = "end to end"

_ON_CPU = ("native", "ort")
_STARVED = 0.9
"""Cores busy in a call, below which it was not the work that took the time."""

_NOTES = {
    "percentiles": "nearest rank: each is a time that was measured; no sample is left out",
    "jitter": "mean absolute difference between a frame and the next",
    "stages": "wall-clock times of the calling thread, exclusive of each other; with other they add up to the call",
}


@dataclass(frozen=True)
class Energy:
    """What one power sensor says about a phase.

    Attributes:
        name: The rail or device.
        source: Where it was read.
        watts: Mean power over the phase, pauses included.
        joules_per_frame: Energy of the phase over its frames.
        idle_watts: Mean power before anything ran; None if that was not measured.
        above_idle_per_frame: Joules for each frame above what the machine takes idle.
    """

    name: str
    source: str
    watts: float
    joules_per_frame: float
    idle_watts: float | None
    above_idle_per_frame: float | None


def stage_rows(phase: Phase) -> dict[str, Statistics]:
    """Statistics in ms of the whole call, as "end to end", and of every stage that was entered, as `STAGES` has them.

    A frame that did not enter a stage counts as 0 ms of it.
    """
    rows = {END_TO_END: Statistics.of([1e3 * frame.total for frame in phase.frames])}
    entered = {name for frame in phase.frames for name in frame.stages}
    for name in [*(name for name in STAGES if name in entered), *sorted(entered - set(STAGES))]:
        rows[name] = Statistics.of([1e3 * frame.stages.get(name, 0.0) for frame in phase.frames])
    return rows


def throughput(profile: Profile, phase: Phase) -> dict[str, float]:
    """Frames and megapixels a second, as frames over the sum of their times; cores busy; bytes and bits a pixel."""
    total = sum(frame.total for frame in phase.frames)
    count = len(phase.frames)
    size = statistics.fmean(frame.size for frame in phase.frames)
    return {
        "frames_per_s": count / total,
        "megapixels_per_s": count * profile.pixels / total / 1e6,
        "cores_busy": sum(frame.cpu for frame in phase.frames) / total,
        "bytes": size,
        "bits_per_pixel": 8 * size / profile.pixels,
    }


def energies(profile: Profile, phase: Phase) -> list[Energy]:
    """What every power sensor says about a phase."""
    idle = {course.sensor: course.watts for course in profile.idle}
    found = []
    for course in phase.courses:
        joules, watts = course.joules, course.watts
        if joules is None or watts is None:
            continue
        base = idle.get(course.sensor)
        above = None if base is None else (joules - base * course.seconds) / len(phase.frames)
        found.append(
            Energy(
                course.sensor.name,
                course.sensor.source,
                watts,
                joules / len(phase.frames),
                base,
                above,
            )
        )
    return found


def state(courses: Sequence[Course]) -> list[dict[str, Any]]:
    """Clocks, temperatures, memory and throttling: range of each over the courses."""
    rows = []
    for course in courses:
        sensor = course.sensor
        row: dict[str, Any] = {"name": sensor.name, "unit": sensor.unit, "source": sensor.source}
        if sensor.unit in ("MHz", "C", "MB"):
            row |= {
                "least": min(course.values),
                "median": statistics.median(course.values),
                "most": max(course.values),
            }
        elif sensor.unit == "events":
            row["new"] = course.growth or 0.0
        elif sensor.unit == "flags":
            row["seen"] = course.seen_flags
        else:
            continue
        rows.append(row)
    return rows


def throttled(phases: Sequence[Phase]) -> list[str]:
    """What slowed the machine down while phases ran, as far as it tells."""
    found = []
    for phase in phases:
        for row in state(phase.courses):
            if row.get("new"):
                found.append(f"{row['name']}: {row['new']:.0f} new events during {phase.direction}")
            if row.get("seen"):
                found.append(f"{row['name']} {', '.join(row['seen'])} during {phase.direction}")
    return found


def remarks(profile: Profile) -> list[str]:
    """What a reader should know before trusting the figures."""
    found = list(profile.warnings)
    found += [f"slowed down: {text}" for text in throttled(profile.measured)]
    for phase in profile.measured if profile.backend in _ON_CPU else ():
        busy = throughput(profile, phase)["cores_busy"]
        if busy < _STARVED:
            found.append(
                f"{phase.direction} had a processor for {100 * busy:.0f} % of the time: other programs, or a limit "
                "on this one, took the rest"
            )
    if profile.plan.idle and not any(energies(profile, phase) for phase in profile.measured):
        found.append(
            "no energy can be told: this machine lets no power sensor be read here, so --idle was of no use"
        )
    few = [phase.direction for phase in profile.measured if len(phase.frames) < ENOUGH_FOR_P99]
    if few:
        found.append(f"fewer than {ENOUGH_FOR_P99} frames ({', '.join(few)}): p99 is the slowest of them")
    if profile.interrupted:
        found.append("interrupted: these are the frames until then")
    return found


def as_json(
    profile: Profile, parts: Mapping[str, Mapping[str, Sequence[float]]], layers: Sequence[LayerTable]
) -> dict[str, Any]:
    """Everything that was measured, every sample included."""
    return {
        "kind": "farlook profile",
        "schema": SCHEMA,
        "settings": {**asdict(profile.plan), "codec": str(profile.plan.codec)},
        "picture": {
            "width": profile.shape[1],
            "height": profile.shape[0],
            "bands": 1 if len(profile.shape) == 2 else profile.shape[2],
        },
        "bundle": profile.bundle,
        "backend": profile.backend,
        "choice": profile.choice,
        "machine": profile.machine,
        "remarks": remarks(profile),
        "notes": _NOTES,
        "interrupted": profile.interrupted,
        "load_ms": 1e3 * profile.load_seconds,
        "memory_bytes": profile.memory,
        "peak_is_of_each_phase": profile.peak_is_since_reset,
        "idle": _courses(profile.idle),
        "phases": [_phase_json(profile, phase) for phase in profile.measured],
        "parts_ms": {
            direction: {
                name: asdict(Statistics.of([1e3 * each for each in times])) for name, times in rows.items()
            }
            for direction, rows in parts.items()
        },
        "layers": [_layers_json(table) for table in layers],
    }


def _phase_json(profile: Profile, phase: Phase) -> dict[str, Any]:
    rows = stage_rows(phase)
    return {
        "direction": phase.direction,
        "frames": len(phase.frames),
        "cold_ms": None if phase.cold is None else 1e3 * phase.cold,
        "ms": {name: asdict(row) for name, row in rows.items()},
        "throughput": throughput(profile, phase),
        "peak_bytes": phase.peak_bytes,
        "energy": [asdict(energy) for energy in energies(profile, phase)],
        "state": state(phase.courses),
        "sensors": _courses(phase.courses),
        "samples": _samples(phase),
    }


def _courses(courses: Sequence[Course]) -> list[dict[str, Any]]:
    return [
        {
            "name": course.sensor.name,
            "unit": course.sensor.unit,
            "source": course.sensor.source,
            "seconds": [round(moment - course.times[0], 4) for moment in course.times],
            "values": list(course.values),
        }
        for course in courses
    ]


def _samples(phase: Phase) -> list[dict[str, Any]]:
    return [
        {
            "start_ms": 1e3 * frame.start,
            "total_ms": 1e3 * frame.total,
            "cpu_ms": 1e3 * frame.cpu,
            "bytes": frame.size,
            "stages_ms": {name: 1e3 * seconds for name, seconds in frame.stages.items()},
        }
        for frame in phase.frames
    ]


def _layers_json(table: LayerTable) -> dict[str, Any]:
    return {
        **asdict(table),
        "sum_seconds": table.sum_seconds,
        "by_kind": [
            {"kind": kind, "layers": count, "seconds": time} for kind, count, time in table.by_kind()
        ],
    }


def as_csv(profile: Profile) -> str:
    """One row for each frame: direction, number, start, whole call, processor time, bytes, and every stage, in ms."""
    entered = {name for phase in profile.measured for frame in phase.frames for name in frame.stages}
    stages = [*(name for name in STAGES if name in entered), *sorted(entered - set(STAGES))]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    heads = ["direction", "frame", "start_ms", "total_ms", "cpu_ms", "bytes"]
    writer.writerow([*heads, *(f"{name}_ms" for name in stages)])
    for phase in profile.measured:
        for number, sample in enumerate(_samples(phase)):
            head = [
                phase.direction,
                number,
                *(f"{sample[f'{key}_ms']:.4f}" for key in ("start", "total", "cpu")),
            ]
            times = (sample["stages_ms"].get(name, 0.0) for name in stages)
            writer.writerow([*head, sample["bytes"], *(f"{time:.4f}" for time in times)])
    return text.getvalue()
