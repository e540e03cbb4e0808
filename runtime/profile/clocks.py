"""Clocks, temperatures and throttling as Linux tells them, of PCs and of Jetsons."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import TYPE_CHECKING

from farlook.runtime.profile.sensors import Sensor

if TYPE_CHECKING:
    from pathlib import Path

    from farlook.runtime.profile.tree import Tree

_GPU = re.compile(r"gpu|ga10b|gv11b|gp10b", re.IGNORECASE)
"""devfreq's names of a Jetson's GPU: 17000000.gpu or 17000000.ga10b on Orin, gpu-gpc-0 and gpu-nvd-0 on Thor."""

_ZONES = re.compile(r"cpu|gpu|tj|soc|x86_pkg|acpi", re.IGNORECASE)
_MOST_POLICIES = 16


def clock_sensors(tree: Tree) -> list[Sensor]:
    """Current clocks, temperatures, and counters of events that slow the machine down."""
    return [*_cpu(tree), *_gpu(tree), *_temperatures(tree), *_throttling(tree)]


def _cpu(tree: Tree) -> list[Sensor]:
    """The current clock of each cluster of cores that this process may use.

    `cpuinfo_cur_freq` is what the hardware says, `scaling_cur_freq` what the kernel asked for: on a throttled
    Jetson they differ. The first is mostly root's alone, so the second stands in.
    """
    sensors = []
    for policy in _policies(tree):
        for name in ("cpuinfo_cur_freq", "scaling_cur_freq"):
            read = partial(_scaled, tree, policy / name, 1e-3)
            if read() is not None:
                sensors.append(Sensor(f"CPU {policy.name}", "MHz", read, f"cpufreq {name}"))
                break
    return sensors


def _policies(tree: Tree) -> list[Path]:
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    chosen = []
    for policy in tree.glob("sys/devices/system/cpu/cpufreq/policy*"):
        cores = {int(core) for core in re.findall(r"\d+", tree.text(policy / "affected_cpus") or "")}
        if usable is None or not cores or cores & usable:
            chosen.append(policy)
    return chosen[:_MOST_POLICIES]


def _gpu(tree: Tree) -> list[Sensor]:
    sensors = []
    for folder in gpu_folders(tree):
        read = partial(_scaled, tree, folder / "cur_freq", 1e-6)
        if read() is not None:
            sensors.append(Sensor(f"GPU {folder.name}", "MHz", read, "devfreq"))
    return sensors


def gpu_folders(tree: Tree) -> list[Path]:
    """The folders that devfreq has of a Jetson's GPU; none elsewhere."""
    found = [folder for folder in tree.glob("sys/class/devfreq/*") if _GPU.search(folder.name)]
    return found or tree.glob("sys/devices/gpu.0/devfreq/*")


def _temperatures(tree: Tree) -> list[Sensor]:
    sensors = []
    for zone in tree.glob("sys/class/thermal/thermal_zone*"):
        kind = tree.text(zone / "type") or zone.name
        read = partial(_scaled, tree, zone / "temp", 1e-3)
        if _ZONES.search(kind) and read() is not None:  # zones of parts that are powered off give an error
            sensors.append(Sensor(kind.removesuffix("-thermal"), "C", read, "thermal zone"))
    return sensors


def _throttling(tree: Tree) -> list[Sensor]:
    """Counters that grow when the hardware slows itself down."""
    sensors = []
    for file in tree.glob("sys/class/hwmon/hwmon*/oc*_event_cnt"):  # a Jetson's over-current events
        read = partial(tree.number, file)
        if read() is not None:
            name = file.name.split("_")[0].upper()
            sensors.append(Sensor(f"over-current {name}", "events", read, "soctherm"))
    for kind in ("core", "package"):  # x86
        files = tree.glob(f"sys/devices/system/cpu/cpu*/thermal_throttle/{kind}_throttle_count")
        read = partial(_largest, tree, files)
        if files and read() is not None:
            sensors.append(Sensor(f"CPU {kind} throttled", "events", read, "thermal_throttle"))
    return sensors


def _scaled(tree: Tree, file: Path, factor: float) -> float | None:
    value = tree.number(file)
    return None if value is None else value * factor


def _largest(tree: Tree, files: list[Path]) -> float | None:
    """The largest counter: those of one package all count the same events."""
    return max((value for file in files if (value := tree.number(file)) is not None), default=None)
