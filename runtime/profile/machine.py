"""What this machine is and how it is set: processor, GPU, power mode, governor, versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from farlook.runtime.machine import this_machine, version_text
from farlook.runtime.profile.clocks import clock_sensors, gpu_folders
from farlook.runtime.profile.nvml import find_gpu
from farlook.runtime.profile.power import power_sensors

if TYPE_CHECKING:
    from farlook.runtime.profile.sensors import Sensor
    from farlook.runtime.profile.tree import Tree

_PACKAGES = (
    "farlook",
    "numpy",
    "pillow",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
)
_SECONDS = 10


def describe_machine(tree: Tree) -> dict[str, Any]:
    """Facts of a machine, for a report; what it does not tell is left out."""
    gpu, why_none = find_gpu()
    facts = {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cpu": _cpu_name(tree),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _governors(tree),
        "cpu_max_mhz": _largest_mhz(tree, "sys/devices/system/cpu/cpufreq/policy*/cpuinfo_max_freq"),
        "boost": tree.text("sys/devices/system/cpu/cpufreq/boost"),
        "memory_bytes": _memory(tree),
        "board": tree.text("proc/device-tree/model"),
        "jetson_linux": _jetson_linux(tree),
        "power_mode": _power_mode(tree),
        "gpu": gpu.describe() if gpu else None,
        "cuda_device": _cuda_device(),
        "gpu_devfreq": _devfreq(tree),
        "no_gpu": why_none or None,
        "load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": _versions(),
    }
    return {name: value for name, value in facts.items() if value not in (None, {}, "", [])}


def machine_sensors(tree: Tree) -> list[Sensor]:
    """All sensors that this user may read."""
    gpu, _ = find_gpu()
    return [*power_sensors(tree), *(gpu.sensors() if gpu else []), *clock_sensors(tree)]


def warnings_for(facts: dict[str, Any]) -> list[str]:
    """What about a machine makes measurements shaky, and the command that mends it."""
    found = []
    odd = sorted(set(facts.get("governor", [])) - {"performance"})
    if odd:
        remedy = (
            "sudo jetson_clocks" if "jetson_linux" in facts else "sudo cpupower frequency-set -g performance"
        )
        found.append(
            f"the CPU's governor is {', '.join(odd)}: clocks follow the load, so times vary more ({remedy})"
        )
    if facts.get("load_1min", 0) > facts.get("cores", 1) / 2:
        found.append(f"other programs are busy here: a load of {facts['load_1min']:.1f} when this began")
    return found


def _cpu_name(tree: Tree) -> str:
    text = tree.text("proc/cpuinfo") or ""
    match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1].strip() if match else platform.processor() or platform.machine()


def _governors(tree: Tree) -> list[str]:
    files = tree.glob("sys/devices/system/cpu/cpufreq/policy*/scaling_governor")
    return sorted({text for file in files if (text := tree.text(file))})


def _largest_mhz(tree: Tree, pattern: str) -> float | None:
    return max((value / 1e3 for file in tree.glob(pattern) if (value := tree.number(file))), default=None)


def _memory(tree: Tree) -> int | None:
    match = re.search(r"^MemTotal:\s+(\d+) kB", tree.text("proc/meminfo") or "", re.MULTILINE)
    return 1024 * int(match[1]) if match else None


def _jetson_linux(tree: Tree) -> str | None:
    """The release of Jetson Linux, as "36.4.3"; /etc/nv_tegra_release says "# R36 (release), REVISION: 4.3, ..."."""
    text = tree.text("etc/nv_tegra_release") or ""
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{match[1]}.{match[2]}" if match else None


def _power_mode(tree: Tree) -> str | None:
    """A Jetson's power mode, as in "MAXN (0)", from `nvpmodel -q`."""
    if _jetson_linux(tree) is None:
        return None
    tool = shutil.which("nvpmodel", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if tool is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603  # a fixed command, without a shell
            [tool, "-q"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_power_mode(answer.stdout)


def parse_power_mode(text: str) -> str | None:
    """The mode that `nvpmodel -q` prints: a line "NV Power Mode: MAXN", and its number on the next."""
    match = re.search(r"NV Power Mode:\s*(\S+)\s*(\d+)?", text)
    return None if match is None else match[1] + (f" ({match[2]})" if match[2] else "")


def _cuda_device() -> dict[str, Any]:
    """The GPU as CUDA's driver sees it, on Jetsons too, where NVML tells little."""
    machine = this_machine()
    if machine.gpu is None:
        return {}
    return {
        **asdict(machine.gpu),
        "driver": machine.driver,
        "cuda": version_text(machine.cuda),
        "jetpack": machine.jetson.jetpack if machine.jetson else "",
    }


def _devfreq(tree: Tree) -> dict[str, Any]:
    """Governor and clocks of a Jetson's GPU, in MHz."""
    found = {}
    for folder in gpu_folders(tree):
        clocks = {key: tree.number(folder / f"{key}_freq") for key in ("min", "cur", "max")}
        numbers = {f"{key}_mhz": value / 1e6 for key, value in clocks.items() if value is not None}
        found[folder.name] = {"governor": tree.text(folder / "governor"), **numbers}
    return found


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
